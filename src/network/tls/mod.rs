//! TLS by the system's OpenSSL. Network child.
#![forbid(unsafe_code)]

pub(super) mod client;

/// Initialises OpenSSL and with that reads its configuration (`openssl.cnf`: the system's policy for
/// protocols and ciphers). Must run before the sandbox closes the file system.
pub(super) fn load_configuration() {
    openssl::init();
}
