//! TLS by the system's OpenSSL. Network child.

pub(super) mod client;
mod ffi;

/// Reads OpenSSL's configuration (`openssl.cnf`: the system's policy for protocols and ciphers). Must run
/// before the sandbox closes the file system; the rest of OpenSSL is set up there, once a server offers
/// TLS. A file that cannot be used shows when TLS is set up.
pub(super) fn load_configuration() {
    let _ = ffi::load_configuration();
}
