//! Canonical CBOR written by hand from RFC 8949 section 4.2.1, so that core is held against something else than itself.
//!
//! Shared by the tests of `core` and `replay`.

/// Writes the head of an item of a major type.
fn head(major: u8, value: u64) -> Vec<u8> {
    let first = major << 5;
    match value {
        0..24 => vec![first | value as u8],
        24..0x100 => vec![first | 24, value as u8],
        0x100..0x1_0000 => [&[first | 25][..], &(value as u16).to_be_bytes()].concat(),
        0x1_0000..0x1_0000_0000 => [&[first | 26][..], &(value as u32).to_be_bytes()].concat(),
        _ => [&[first | 27][..], &value.to_be_bytes()].concat(),
    }
}

pub(crate) fn uint(value: u64) -> Vec<u8> {
    head(0, value)
}

pub(crate) fn bytes(value: &[u8]) -> Vec<u8> {
    [head(2, value.len() as u64), value.to_vec()].concat()
}

pub(crate) fn text(value: &str) -> Vec<u8> {
    [head(3, value.len() as u64), value.as_bytes().to_vec()].concat()
}

pub(crate) fn boolean(value: bool) -> Vec<u8> {
    vec![if value { 0xf5 } else { 0xf4 }]
}

pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

pub(crate) fn map(entries: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = entries.iter().flat_map(|(key, value)| [uint(*key), value.clone()].concat()).collect();
    [head(5, entries.len() as u64), items].concat()
}

/// Returns BLAKE3 in derive-key mode over parts, one after the other.
pub(crate) fn derived(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
