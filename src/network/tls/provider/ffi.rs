//! OpenSSL as the provider uses it: its own library context, keys made in it, parameters, and the signer that is lent to
//! it. Network child.
#![expect(unsafe_code, reason = "foreign functions, and a borrow that crosses them; one per wrapper")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::lib_ctx::{LibCtx, LibCtxRef};
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};
use openssl::provider::Provider;
use openssl_sys::{
    EVP_PKEY, EVP_PKEY_CTX, EVP_PKEY_CTX_free, EVP_PKEY_CTX_new_from_name, EVP_PKEY_fromdata,
    EVP_PKEY_fromdata_init, EVP_PKEY_todata, OSSL_LIB_CTX, OSSL_PARAM,
};

use super::callbacks::{Init, init};
use crate::ipc::signature::Scheme;

/// What the provider is called in its own context, and nowhere else.
const NAME: &CStr = c"qmail-remote";
// openssl/evp.h
const EVP_PKEY_PUBLIC_KEY: c_int = 0x86;

unsafe extern "C" {
    fn OSSL_PROVIDER_add_builtin(context: *mut OSSL_LIB_CTX, name: *const c_char, init: Init) -> c_int;
    fn OSSL_PARAM_free(params: *mut OSSL_PARAM);
    fn OSSL_PARAM_locate(params: *mut OSSL_PARAM, key: *const c_char) -> *mut OSSL_PARAM;
    fn OSSL_PARAM_get_int(param: *const OSSL_PARAM, value: *mut c_int) -> c_int;
    fn OSSL_PARAM_set_size_t(param: *mut OSSL_PARAM, value: usize) -> c_int;
    fn OSSL_PARAM_set_utf8_string(param: *mut OSSL_PARAM, value: *const c_char) -> c_int;
}

/// The library context with the provider, kept as long as the process.
fn context() -> Result<&'static LibCtxRef, ErrorStack> {
    static CONTEXT: OnceLock<(LibCtx, Provider)> = OnceLock::new();
    if CONTEXT.get().is_none() {
        let context = LibCtx::new()?;
        add_provider(&context)?;
        let provider = Provider::load(Some(&context), "qmail-remote")?;
        // Of two threads one loses, and drops its own.
        let _ = CONTEXT.set((context, provider));
    }
    CONTEXT.get().map(|(context, _)| &**context).ok_or_else(ErrorStack::get)
}

/// OSSL_PROVIDER_add_builtin(3).
fn add_provider(context: &LibCtxRef) -> Result<(), ErrorStack> {
    // SAFETY: the context lives through the call, the name ends in NUL and is copied, the function is an
    // OSSL_provider_init_fn.
    done(unsafe { OSSL_PROVIDER_add_builtin(context.as_ptr(), NAME.as_ptr(), init) })
}

/// A key of the provider: `public` with the private half elsewhere.
pub(super) fn key_elsewhere(public: &PKeyRef<Public>) -> Result<PKey<Private>, ErrorStack> {
    let name = match public.id() {
        Id::RSA => c"RSA",
        Id::EC => c"EC",
        Id::ED25519 => c"ED25519",
        _ => return Err(ErrorStack::get()),
    };
    let parameters = Parameters::of(public)?;
    let maker = Maker::of(name)?;
    // SAFETY: the pointer is of a context that lives through the call.
    done(unsafe { EVP_PKEY_fromdata_init(maker.0) })?;
    let mut key = null_mut();
    // SAFETY: the context was initialised for this, the parameters are an array with its end, and `key` is written.
    done(unsafe { EVP_PKEY_fromdata(maker.0, &raw mut key, EVP_PKEY_PUBLIC_KEY, parameters.0) })?;
    // SAFETY: a successful EVP_PKEY_fromdata gave one reference, which the new owner frees.
    Ok(unsafe { PKey::from_ptr(key) })
}

fn done(result: c_int) -> Result<(), ErrorStack> {
    if result == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// An EVP_PKEY_CTX.
struct Maker(*mut EVP_PKEY_CTX);

impl Maker {
    /// For keys of this name, by the provider.
    fn of(name: &CStr) -> Result<Maker, ErrorStack> {
        // SAFETY: the library context lives as long as the process, the name ends in NUL, and no properties are given.
        let maker = unsafe { EVP_PKEY_CTX_new_from_name(context()?.as_ptr(), name.as_ptr(), null()) };
        if maker.is_null() { Err(ErrorStack::get()) } else { Ok(Maker(maker)) }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // SAFETY: the pointer came from EVP_PKEY_CTX_new_from_name and is freed once.
        unsafe { EVP_PKEY_CTX_free(self.0) }
    }
}

/// Parameters that OpenSSL allocated.
struct Parameters(*mut OSSL_PARAM);

impl Parameters {
    /// EVP_PKEY_todata(3): the public half.
    fn of(public: &PKeyRef<Public>) -> Result<Parameters, ErrorStack> {
        let key: *mut EVP_PKEY = public.as_ptr();
        let mut parameters = null_mut();
        // SAFETY: the key lives through the call; `parameters` is written when it succeeds.
        done(unsafe { EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &raw mut parameters) })?;
        Ok(Parameters(parameters))
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        // SAFETY: the array came from EVP_PKEY_todata and is freed once.
        unsafe { OSSL_PARAM_free(self.0) }
    }
}

/// Parameters that OpenSSL hands to a callback: an array that ends in a null key, or a null pointer, valid as long as the
/// callback runs.
#[derive(Clone, Copy)]
pub(super) struct Given(*mut OSSL_PARAM);

impl Given {
    /// # Safety
    /// The pointer must be what OpenSSL handed to a callback that is running.
    pub(super) unsafe fn new(params: *const OSSL_PARAM) -> Given {
        Given(params.cast_mut())
    }

    /// OSSL_PARAM_locate(3).
    fn find(self, name: &CStr) -> Option<*mut OSSL_PARAM> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the array is valid and ended (see `new`), the name ends in NUL.
        let param = unsafe { OSSL_PARAM_locate(self.0, name.as_ptr()) };
        if param.is_null() { None } else { Some(param) }
    }

    /// The content of a string or number, as it stands in memory.
    pub(super) fn octets(self, name: &CStr) -> Option<Vec<u8>> {
        let param = self.find(name)?;
        // SAFETY: a located parameter is a valid element of the array.
        let OSSL_PARAM { data, data_size, .. } = unsafe { param.read() };
        if data.is_null() {
            return None;
        }
        // SAFETY: for all types but the PTR ones, which no parameter that is asked for here has, `data_size` octets stand
        // at `data`.
        Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), data_size) }.to_vec())
    }

    /// OSSL_PARAM_get_int(3).
    pub(super) fn number(self, name: &CStr) -> Option<c_int> {
        let param = self.find(name)?;
        let mut value = 0;
        // SAFETY: a located parameter is valid, `value` is written. A parameter of another type is an error.
        (unsafe { OSSL_PARAM_get_int(param, &raw mut value) } == 1).then_some(value)
    }

    /// OSSL_PARAM_set_size_t(3). True: it is not asked for, or was answered.
    pub(super) fn answer_size(self, name: &CStr, value: usize) -> bool {
        // SAFETY: a located parameter is valid, and has room as far as it says.
        self.find(name).is_none_or(|param| unsafe { OSSL_PARAM_set_size_t(param, value) } == 1)
    }

    /// OSSL_PARAM_set_utf8_string(3), likewise.
    pub(super) fn answer_text(self, name: &CStr, value: &CStr) -> bool {
        // SAFETY: as for `answer_size`; the value ends in NUL and is copied.
        self.find(name).is_none_or(|param| unsafe { OSSL_PARAM_set_utf8_string(param, value.as_ptr()) } == 1)
    }
}

/// A signer that is lent: what it is, and how it is called.
#[derive(Clone, Copy)]
struct Lent {
    signer: *mut c_void,
    call: unsafe fn(*mut c_void, Scheme, &[u8]) -> Option<Vec<u8>>,
}

thread_local! {
    static LENT: Cell<Option<Lent>> = const { Cell::new(None) };
}

/// Takes the signer back, also when the work panics.
struct TakeBack;

impl Drop for TakeBack {
    fn drop(&mut self) {
        LENT.set(None);
    }
}

/// Signatures that are asked for in the course of `work` are made by `signer`.
pub(in crate::network::tls) fn with_signer<S, T>(signer: &mut S, work: impl FnOnce() -> T) -> T
where
    S: FnMut(Scheme, &[u8]) -> Option<Vec<u8>>,
{
    unsafe fn call<S: FnMut(Scheme, &[u8]) -> Option<Vec<u8>>>(
        signer: *mut c_void,
        scheme: Scheme,
        octets: &[u8],
    ) -> Option<Vec<u8>> {
        // SAFETY: the pointer was made of a `&mut S` that is borrowed as long as it is lent, and `sign` has taken it out,
        // so that there is no second reference.
        let signer = unsafe { &mut *signer.cast::<S>() };
        signer(scheme, octets)
    }
    let _taken_back = TakeBack;
    LENT.set(Some(Lent { signer: std::ptr::from_mut(signer).cast(), call: call::<S> }));
    work()
}

/// A signature by the signer that is lent; none without one.
pub(super) fn sign(scheme: Scheme, octets: &[u8]) -> Option<Vec<u8>> {
    // Taken out while it works.
    let lent = LENT.take()?;
    // SAFETY: what is lent is alive: `with_signer` takes it back before its borrow ends.
    let signature = unsafe { (lent.call)(lent.signer, scheme, octets) };
    LENT.set(Some(lent));
    signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::signature::Hash;

    #[test]
    fn a_signer_is_there_as_long_as_it_is_lent() {
        assert_eq!(sign(Scheme::Ed25519, b"x"), None);
        let mut asked = Vec::new();
        let mut signer = |scheme, octets: &[u8]| {
            assert_eq!(sign(scheme, octets), None, "not again from within");
            asked.push((scheme, octets.to_vec()));
            Some(vec![7])
        };
        let both = with_signer(&mut signer, || {
            [sign(Scheme::Ed25519, b"x"), sign(Scheme::Ecdsa(Hash::Sha256), b"yz")]
        });
        assert_eq!(both, [Some(vec![7]), Some(vec![7])]);
        assert_eq!(sign(Scheme::Ed25519, b"x"), None);
        let expected = [(Scheme::Ed25519, b"x".to_vec()), (Scheme::Ecdsa(Hash::Sha256), b"yz".to_vec())];
        assert_eq!(asked, expected);
    }
}
