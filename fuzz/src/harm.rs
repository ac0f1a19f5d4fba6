//! Bytes of a file that get lost or change.

use arbitrary::Arbitrary;

/// What happens to a file.
#[derive(Debug, Arbitrary)]
pub enum Harm {
    /// It ends here.
    Cut(u32),
    /// Bits of a byte change.
    Change {
        /// Where.
        at: u32,
        /// Which.
        xor: u8,
    },
    /// Other bytes stand there.
    Write {
        /// Where.
        at: u32,
        /// Which.
        bytes: Vec<u8>,
    },
}

/// Makes all of it happen, in order.
pub fn harm(file: &mut Vec<u8>, harms: Vec<Harm>) {
    for harm in harms {
        match harm {
            Harm::Cut(length) => file.truncate(length as usize % (file.len() + 1)),
            Harm::Change { at, xor } => {
                let at = at as usize % file.len().max(1);
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= xor;
                }
            }
            Harm::Write { at, bytes } => {
                let at = at as usize % file.len().max(1);
                for (byte, new) in file.iter_mut().skip(at).zip(bytes) {
                    *byte = new;
                }
            }
        }
    }
}
