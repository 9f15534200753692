//! The OpenSSL functions that the `openssl` crate does not offer. Network child.
#![expect(unsafe_code, reason = "foreign functions; one per wrapper")]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_long, c_uchar, c_uint, c_ulong, c_void};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::ptr::{NonNull, null, null_mut};

use foreign_types::ForeignTypeRef as _;
use openssl::conf::{Conf, ConfMethod, ConfRef};
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl::x509::X509Ref;
use openssl_sys::{
    BIO, BIO_free_all, BIO_new_mem_buf, CONF, NID_subject_alt_name, OPENSSL_free, SSL, SSL_CTX, X509,
    X509_get_ext_by_NID,
};

use crate::host::HostName;
use crate::network::dns::TlsaRecord;

// openssl/crypto.h
const OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS: u64 = 0x0000_0001;
const OPENSSL_INIT_LOAD_CONFIG: u64 = 0x0000_0040;
const OPENSSL_INIT_NO_LOAD_CONFIG: u64 = 0x0000_0080;
const OPENSSL_INIT_NO_ATEXIT: u64 = 0x0008_0000;
// openssl/conf.h
const CONF_MFLAGS_DEFAULT_SECTION: c_ulong = 0x20;
// openssl/ssl.h
const DANE_FLAG_NO_DANE_EE_NAMECHECKS: c_ulong = 1;
// openssl/x509v3.h
const X509_CHECK_FLAG_NO_WILDCARDS: c_uint = 0x2;
const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS: c_uint = 0x4;
const X509_CHECK_FLAG_NEVER_CHECK_SUBJECT: c_uint = 0x20;

unsafe extern "C" {
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
    safe fn OSSL_LIB_CTX_get0_global_default() -> *mut c_void;
    fn CONF_get1_default_config_file() -> *mut c_char;
    fn NCONF_load_bio(configuration: *mut CONF, text: *mut BIO, line: *mut c_long) -> c_int;
    fn NCONF_get_number_e(
        configuration: *const CONF,
        section: *const c_char,
        name: *const c_char,
        number: *mut c_long,
    ) -> c_int;
    fn CONF_modules_load(configuration: *const CONF, section: *const c_char, flags: c_ulong) -> c_int;
    fn SSL_CTX_dane_enable(context: *mut SSL_CTX) -> c_int;
    fn SSL_dane_enable(session: *mut SSL, base_domain: *const c_char) -> c_int;
    fn SSL_dane_set_flags(session: *mut SSL, flags: c_ulong) -> c_ulong;
    fn SSL_add1_host(session: *mut SSL, name: *const c_char) -> c_int;
    fn SSL_dane_tlsa_add(
        session: *mut SSL,
        usage: u8,
        selector: u8,
        matching: u8,
        data: *const c_uchar,
        length: usize,
    ) -> c_int;
    fn SSL_get0_dane_authority(session: *mut SSL, cert: *mut *mut X509, key: *mut *mut c_void) -> c_int;
    fn SSL_get0_dane_tlsa(
        session: *mut SSL,
        usage: *mut u8,
        selector: *mut u8,
        matching: *mut u8,
        data: *mut *const c_uchar,
        length: *mut usize,
    ) -> c_int;
    fn X509_check_host(
        certificate: *mut X509,
        name: *const c_char,
        length: usize,
        flags: c_uint,
        peer_name: *mut *mut c_char,
    ) -> c_int;
    fn X509_check_ip(certificate: *mut X509, address: *const c_uchar, length: usize, flags: c_uint) -> c_int;
}

/// OPENSSL_init_crypto(3): initialises libcrypto as far as its configuration file goes, which it reads.
/// Error texts and libssl are left for later. False: the configuration cannot be used.
pub(super) fn load_configuration() -> bool {
    let options = OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT;
    // SAFETY: may be called at any time; a null `settings` means the default file.
    unsafe { OPENSSL_init_crypto(options, null()) == 1 }
}

/// OSSL_LIB_CTX_get0_global_default(3): makes what all of OpenSSL's algorithms are looked up in, where that is not there yet.
pub(super) fn make_default_context() {
    OSSL_LIB_CTX_get0_global_default();
}

/// CONF_get1_default_config_file(3): the name of the file that [`load_configuration`] reads.
pub(super) fn configuration_file() -> Option<PathBuf> {
    // SAFETY: may be called at any time. Gives null, or a string that is the caller's.
    let name = unsafe { CONF_get1_default_config_file() };
    if name.is_null() {
        return None;
    }
    // SAFETY: OpenSSL's strings end in NUL; it lives until it is freed.
    let path = PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
    // SAFETY: it was allocated by OpenSSL, and nothing refers to it any more.
    unsafe { OPENSSL_free(name.cast()) };
    Some(path)
}

/// What [`load_configuration`] does, by a text instead of the file. Must come before anything else is asked of OpenSSL, which
/// would look for the file. False: the configuration cannot be used.
pub(super) fn apply_configuration(text: &[u8]) -> bool {
    let options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT;
    // SAFETY: may be called at any time.
    let is_ready = unsafe { OPENSSL_init_crypto(options, null()) } == 1;
    let (true, Ok(configuration)) = (is_ready, Conf::new(ConfMethod::default())) else { return false };
    match parse_configuration(&configuration, text) {
        None => return false,
        // As OpenSSL has it: what is no configuration says nothing, and modules that fail do so in silence by default.
        Some(false) => return true,
        Some(true) => {}
    }
    let mut is_strict = 0;
    let name = c"config_diagnostics".as_ptr();
    // SAFETY: the configuration lives through the call, null is its default section, the name ends in NUL; a number is
    // written, or nothing.
    unsafe { NCONF_get_number_e(configuration.as_ptr(), null(), name, &raw mut is_strict) };
    // SAFETY: the configuration lives through the call, and nothing of it is kept; null is the section that it names.
    let is_used =
        unsafe { CONF_modules_load(configuration.as_ptr(), null(), CONF_MFLAGS_DEFAULT_SECTION) } == 1;
    is_used || is_strict <= 0
}

/// NCONF_load_bio(3): parses `text` into an empty configuration. Some(false): it is none. None: OpenSSL has not seen it.
fn parse_configuration(configuration: &ConfRef, text: &[u8]) -> Option<bool> {
    let length = c_int::try_from(text.len()).ok()?;
    // SAFETY: the text is read to its length, and outlives what is made.
    let bio = NonNull::new(unsafe { BIO_new_mem_buf(text.as_ptr().cast(), length) })?;
    // SAFETY: both live through the call; the null pointer means that the line of an error is not asked for.
    let is_parsed = unsafe { NCONF_load_bio(configuration.as_ptr(), bio.as_ptr(), null_mut()) } == 1;
    // SAFETY: it was made here, and nothing refers to it any more.
    unsafe { BIO_free_all(bio.as_ptr()) };
    Some(is_parsed)
}

/// SSL_CTX_dane_enable(3): lets sessions of this context use DANE.
pub(super) fn enable_dane_in_context(context: &mut SslContextBuilder) -> bool {
    // SAFETY: the pointer is of a context that lives through the call.
    unsafe { SSL_CTX_dane_enable(context.as_ptr()) > 0 }
}

/// SSL_dane_enable(3): the session uses DANE for this base domain, which becomes its SNI and its first reference
/// name. Once for each session.
pub(super) fn enable_dane(session: &mut SslRef, base: &HostName) -> bool {
    let Ok(base) = CString::new(base.as_str()) else { return false };
    // SAFETY: the session lives through the call, the string ends in NUL and is copied.
    unsafe { SSL_dane_enable(session.as_ptr(), base.as_ptr()) > 0 }
}

/// SSL_dane_set_flags(3): names are not checked for usage 3 (RFC 7672 section 3.1.1).
pub(super) fn skip_names_of_dane_ee(session: &mut SslRef) {
    // SAFETY: the session lives through the call and has DANE enabled.
    unsafe { SSL_dane_set_flags(session.as_ptr(), DANE_FLAG_NO_DANE_EE_NAMECHECKS) };
}

/// SSL_add1_host(3): one more reference name.
pub(super) fn add_name(session: &mut SslRef, name: &HostName) -> bool {
    let Ok(name) = CString::new(name.as_str()) else { return false };
    // SAFETY: the session lives through the call, the string ends in NUL and is copied.
    unsafe { SSL_add1_host(session.as_ptr(), name.as_ptr()) == 1 }
}

/// SSL_dane_tlsa_add(3): one more record. `Some(false)`: the record cannot be used. None: OpenSSL failed.
pub(super) fn add_record(session: &mut SslRef, record: &TlsaRecord) -> Option<bool> {
    let TlsaRecord { usage, selector, matching, data } = record;
    // SAFETY: the session lives through the call and has DANE enabled; `data` is read to its length and copied.
    let added = unsafe {
        SSL_dane_tlsa_add(session.as_ptr(), *usage, *selector, *matching, data.as_ptr(), data.len())
    };
    match added {
        1.. => Some(true),
        0 => Some(false),
        ..0 => None,
    }
}

/// SSL_get0_dane_authority(3): whether a record matched. Means nothing unless the verification succeeded.
pub(super) fn has_matched(session: &SslRef) -> bool {
    // SAFETY: the session lives through the call; null pointers mean that certificate and key are not asked for.
    unsafe { SSL_get0_dane_authority(session.as_ptr(), null_mut(), null_mut()) >= 0 }
}

/// SSL_get0_dane_tlsa(3): usage, selector and matching type of the record that matched. None: none did, or the
/// verification failed.
pub(super) fn matched_record(session: &SslRef) -> Option<(u8, u8, u8)> {
    let (mut usage, mut selector, mut matching) = (0, 0, 0);
    // SAFETY: the session lives through the call; three octets are written, null pointers mean that the data is not
    // asked for.
    let depth = unsafe {
        SSL_get0_dane_tlsa(
            session.as_ptr(),
            &raw mut usage,
            &raw mut selector,
            &raw mut matching,
            null_mut(),
            null_mut(),
        )
    };
    (depth >= 0).then_some((usage, selector, matching))
}

/// Which wildcards a certificate may have for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wildcards {
    /// In place of the whole leftmost label.
    Leftmost,
    /// None.
    Refused,
}

/// X509_check_host(3): whether the certificate is for `name`. The subject's common name counts only when there is no
/// subject alternative name of any kind.
pub(super) fn is_for_name(certificate: &X509Ref, name: &str, wildcards: Wildcards) -> bool {
    let wildcards = match wildcards {
        Wildcards::Leftmost => X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
        Wildcards::Refused => X509_CHECK_FLAG_NO_WILDCARDS,
    };
    // Left alone, OpenSSL takes the common name beside alternative names of other kinds. They count where they cannot be
    // decoded, too: for lack of memory, or since they are none.
    // SAFETY: the certificate lives through the call, which looks through its extensions from the first on.
    let alternatives = unsafe { X509_get_ext_by_NID(certificate.as_ptr(), NID_subject_alt_name, -1) };
    let subject = if alternatives >= 0 { X509_CHECK_FLAG_NEVER_CHECK_SUBJECT } else { 0 };
    let flags = wildcards | subject;
    // SAFETY: the certificate lives through the call, the name is read to its length, the last pointer may be null.
    let result =
        unsafe { X509_check_host(certificate.as_ptr(), name.as_ptr().cast(), name.len(), flags, null_mut()) };
    result == 1
}

/// X509_check_ip(3): whether the certificate is for `address`, by a subject alternative name.
pub(super) fn is_for_address(certificate: &X509Ref, address: IpAddr) -> bool {
    let (v4, v6);
    let octets: &[u8] = match address {
        IpAddr::V4(address) => {
            v4 = address.octets();
            &v4
        }
        IpAddr::V6(address) => {
            v6 = address.octets();
            &v6
        }
    };
    // SAFETY: the certificate lives through the call, the address is read to its length.
    unsafe { X509_check_ip(certificate.as_ptr(), octets.as_ptr(), octets.len(), 0) == 1 }
}

#[cfg(test)]
mod tests;
