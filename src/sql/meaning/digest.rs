//! What a piece of SQL means, as 128 bits.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// A hash over a meaning: equal digests, equal meaning. 128 bits of BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 16]>::deserialize(deserializer).map(Self);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(&*text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// Builds a digest from a tag and what belongs to it, each with its length, so that no two inputs run into
/// each other.
pub struct Node {
    bytes: Vec<u8>,
}

impl Node {
    /// A node of the kind `tag`.
    pub fn new(tag: &str) -> Self {
        let node = Self {
            bytes: Vec::with_capacity(96),
        };
        node.text(tag)
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, number: usize) -> Self {
        self.bytes.push(b'n');
        self.bytes.extend_from_slice(&(number as u64).to_le_bytes());
        self
    }

    /// With a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.bytes.push(b't');
        self.bytes
            .extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// With a text that may be missing.
    #[must_use]
    pub fn maybe_text(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => self.none(),
        }
    }

    /// With something that is missing.
    #[must_use]
    pub fn none(mut self) -> Self {
        self.bytes.push(b'-');
        self
    }

    /// With another meaning.
    #[must_use]
    pub fn digest(mut self, digest: Digest) -> Self {
        self.bytes.push(b'd');
        self.bytes.extend_from_slice(&digest.0);
        self
    }

    /// With a list of meanings, in this order.
    #[must_use]
    pub fn digests(mut self, digests: impl IntoIterator<Item = Digest>) -> Self {
        self.bytes.push(b'[');
        for digest in digests {
            self = self.digest(digest);
        }
        self.bytes.push(b']');
        self
    }

    /// The digest of all that.
    pub fn finish(self) -> Digest {
        let hash = blake3::hash(&self.bytes);
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.as_bytes()[..16]);
        Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_run_into_each_other() {
        let digest = |pieces: &[&str]| {
            pieces
                .iter()
                .fold(Node::new("x"), |node, piece| node.text(piece))
                .finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a"]), digest(&["a", ""]));
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
    }

    #[test]
    fn a_digest_survives_json() {
        let digest = Node::new("x").number(7).finish();
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"00\"").is_err());
    }
}
