//! The forms in which a known secret is looked for: plain, as JSON has it, base64, hexadecimal, encoded for an address.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use std::collections::BTreeMap;

/// Shortest form that is looked for, in bytes: a shorter one would be found by chance.
const FORM_BYTES_MIN: usize = 8;

/// Returns every form of a secret, and whether it is a part of a text in base64: then what stands at its ends holds some
/// of its bits.
pub(super) fn forms(secret: &str) -> BTreeMap<Vec<u8>, bool> {
    let bytes = secret.as_bytes();
    let mut forms = BTreeMap::new();
    for shift in 0..3 {
        forms.insert(core(&BASE64_NOPAD, bytes, shift), true);
        forms.insert(core(&BASE64URL_NOPAD, bytes, shift), true);
    }
    for hex in [b"0123456789ABCDEF", b"0123456789abcdef"] {
        for space in ["%20", "+"] {
            // Who writes addresses differs in what may stand as it is.
            for plain in ["-._~", "-._~!*'()", "-._*", "-._~/"] {
                forms.insert(in_address(bytes, hex, space, plain.as_bytes()), false);
            }
        }
    }
    let json = serde_json::to_string(secret).unwrap_or_default();
    forms.insert(json.strip_prefix('"').unwrap_or_default().strip_suffix('"').unwrap_or_default().into(), false);
    forms.insert(HEXLOWER.encode(bytes).into(), false);
    forms.insert(HEXUPPER.encode(bytes).into(), false);
    forms.insert(bytes.to_vec(), false);
    forms.retain(|form, _| form.len() >= FORM_BYTES_MIN);
    forms
}

/// Returns what base64 makes of a secret that has `shift` bytes before it, without what depends on what stands around.
fn core(encoding: &data_encoding::Encoding, secret: &[u8], shift: usize) -> Vec<u8> {
    let shifted: Vec<u8> = vec![0; shift].into_iter().chain(secret.iter().copied()).collect();
    let mut text = encoding.encode(&shifted).into_bytes();
    if !shifted.len().is_multiple_of(3) {
        text.pop();
    }
    text.drain(..[0, 2, 3][shift].min(text.len()));
    text
}

fn in_address(bytes: &[u8], hex: &[u8; 16], space: &str, plain: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 3);
    for byte in bytes {
        match byte {
            b' ' => text.extend_from_slice(space.as_bytes()),
            byte if byte.is_ascii_alphanumeric() || plain.contains(byte) => text.push(*byte),
            byte => text.extend([b'%', hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]]),
        }
    }
    text
}
