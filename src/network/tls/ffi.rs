//! The OpenSSL functions that the `openssl` crate does not offer. Network child.
#![expect(unsafe_code, reason = "foreign functions; one per wrapper")]

use std::ffi::{c_int, c_void};

// openssl/crypto.h
const OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS: u64 = 0x0000_0001;
const OPENSSL_INIT_LOAD_CONFIG: u64 = 0x0000_0040;
const OPENSSL_INIT_NO_ATEXIT: u64 = 0x0008_0000;

unsafe extern "C" {
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
}

/// OPENSSL_init_crypto(3): initialises libcrypto as far as its configuration file goes, which it reads.
/// Error texts and libssl are left for later. False: the configuration cannot be used.
pub(super) fn load_configuration() -> bool {
    let options = OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT;
    // SAFETY: may be called at any time; a null `settings` means the default file.
    unsafe { OPENSSL_init_crypto(options, std::ptr::null()) == 1 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_configuration_of_this_machine_loads() {
        assert!(super::load_configuration());
    }
}
