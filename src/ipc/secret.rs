//! A secret on its way from the monitor to the network child. Both processes.
//!
//! Bounded, wiped when dropped, never printed. What carries it (frames, the decoder's buffer) is wiped as well.
#![forbid(unsafe_code)]

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Octets that are wiped when they are done with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The most that one may be long, in octets: two of them fit a frame.
    pub const MAX: usize = 2700;

    /// A copy of `octets`; none when there are too many.
    pub fn new(octets: &[u8]) -> Option<Secret> {
        (octets.len() <= Secret::MAX).then(|| Secret(Zeroizing::new(octets.to_vec())))
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        let octets = Zeroizing::new(Vec::deserialize(deserializer)?);
        if octets.len() > Secret::MAX {
            return Err(D::Error::custom("too long"));
        }
        Ok(Secret(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_crosses_the_boundary_within_its_bounds_and_is_not_printed() {
        let secret = Secret::new(&[b'x'; Secret::MAX]).unwrap();
        let bytes = postcard::to_allocvec(&secret).unwrap();
        assert_eq!(postcard::from_bytes::<Secret>(&bytes), Ok(secret.clone()));
        assert_eq!(Secret::new(&[b'x'; Secret::MAX + 1]), None);
        let longer = postcard::to_allocvec(&vec![b'x'; Secret::MAX + 1]).unwrap();
        assert!(postcard::from_bytes::<Secret>(&longer).is_err());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
