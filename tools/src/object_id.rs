//! Git object ids as raw bytes, typed by what they name.
//!
//! An id is 20 bytes in a SHA-1 repository and 32 in a SHA-256 one; it never says which store it came from.

use std::fmt;

/// The hash a repository names its objects by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 20-byte ids.
    Sha1,
    /// 32-byte ids.
    Sha256,
}

impl ObjectFormat {
    /// Returns git's name of the format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Raw {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl Raw {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(bytes) = bytes.try_into() {
            return Some(Self::Sha1(bytes));
        }
        bytes.try_into().ok().map(Self::Sha256)
    }

    fn from_hex(hex: &[u8]) -> Option<Self> {
        if !hex.len().is_multiple_of(2) {
            return None;
        }
        let bytes: Option<Vec<u8>> =
            hex.chunks_exact(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect();
        Self::from_bytes(&bytes?)
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Raw);

        impl $name {
            /// Takes 20 or 32 raw bytes; anything else is `None`.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Raw::from_bytes(bytes).map(Self)
            }

            /// Takes 40 or 64 lower-case hexadecimal digits; anything else is `None`.
            pub fn from_hex(hex: &[u8]) -> Option<Self> {
                Raw::from_hex(hex).map(Self)
            }

            /// Returns the 20 or 32 raw bytes.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// Returns the hash this id was made with.
            pub fn format(&self) -> ObjectFormat {
                match self.0 {
                    Raw::Sha1(_) => ObjectFormat::Sha1,
                    Raw::Sha256(_) => ObjectFormat::Sha256,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

id!(
    /// Names the content of a whole folder.
    TreeId
);
id!(
    /// Names a commit.
    CommitId
);

/// Names the content of a file or link, or the commit of a submodule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryId(Raw);

impl EntryId {
    pub(crate) fn sha1(bytes: [u8; 20]) -> Self {
        Self(Raw::Sha1(bytes))
    }

    pub(crate) fn sha256(bytes: [u8; 32]) -> Self {
        Self(Raw::Sha256(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn from_hex(hex: &[u8]) -> Option<Self> {
        Raw::from_hex(hex).map(Self)
    }

    /// Takes what it names for a tree.
    pub(crate) fn into_tree(self) -> TreeId {
        TreeId(self.0)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
