//! Bytes that are read as an event are written as they were, and everything else that reads bytes stays calm.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loom_core::answer::{Claim, Recipe, decode_checks, decode_delta, encode_checks, encode_delta};
use loom_core::event::{Envelope, View};
use loom_core::process::Bundle;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = Envelope::decode(bytes) {
        assert_eq!(event.encode(), bytes, "an event has one spelling (CBOR-2)");
        let view = View::read(bytes).expect("what decodes can be viewed");
        for field in view.schema.fields {
            let present = view.field(field.key).is_some();
            assert!(present || field.optional || matches!(field.ty, loom_core::schema::Type::List(_)));
        }
    }
    if let Ok(bundle) = Bundle::decode(bytes) {
        assert_eq!(bundle.encode(), bytes);
        let _flaws = bundle.flaws();
    }
    if let Ok(changes) = decode_delta(bytes) {
        assert_eq!(encode_delta(&changes), bytes);
    }
    if let Ok(checks) = decode_checks(bytes) {
        assert_eq!(encode_checks(&checks), bytes);
    }
    if let Ok(claim) = Claim::decode(bytes) {
        assert_eq!(Claim::decode(&claim.encode()).as_ref(), Ok(&claim));
    }
    if let Ok(recipe) = Recipe::decode(bytes) {
        assert_eq!(Recipe::decode(&recipe.encode()).as_ref(), Ok(&recipe));
    }
});
