//! What OpenSSL calls: the tables of a provider with keymgmt and signature (provider-keymgmt(7), provider-signature(7)),
//! and nothing else. Network child.
//!
//! Objects cross the border as pointers from `Box`, made by a `new` and taken back by a `free`. OpenSSL hands out no
//! other pointers, and calls nothing on an object that it has freed.
#![expect(unsafe_code, reason = "functions that OpenSSL calls, with pointers; one operation per block")]

use std::ffi::{CStr, CString, c_char, c_int, c_uchar, c_void};
use std::ptr::{null, null_mut};

use openssl_sys::OSSL_PARAM;

use super::ffi::{self, Given};
use super::state::{GROUP, Key, Kind, Operation, Padding, SALT_AS_DIGEST};

/// OSSL_DISPATCH: a function by its number.
#[repr(C)]
pub(super) struct Dispatch {
    number: c_int,
    function: *const c_void,
}

/// OSSL_ALGORITHM: a table by its names.
#[repr(C)]
struct Algorithm {
    names: *const c_char,
    properties: *const c_char,
    implementation: *const Dispatch,
    description: *const c_char,
}

/// A table that never changes.
struct Table<T, const N: usize>([T; N]);

// SAFETY: the pointers in a table are of functions, of constant strings and of other tables: all constant.
unsafe impl<T, const N: usize> Sync for Table<T, N> {}

/// OSSL_provider_init_fn.
pub(super) type Init = unsafe extern "C" fn(
    handle: *const c_void,
    offered: *const Dispatch,
    table: *mut *const Dispatch,
    provider: *mut *mut c_void,
) -> c_int;

// openssl/core_dispatch.h
const OP_KEYMGMT: c_int = 10;
const OP_SIGNATURE: c_int = 12;

const END: Dispatch = Dispatch { number: 0, function: null() };
const NO_ALGORITHM: Algorithm =
    Algorithm { names: null(), properties: null(), implementation: null(), description: null() };
const NO_PARAMETER: OSSL_PARAM =
    OSSL_PARAM { key: null(), data_type: 0, data: null_mut(), data_size: 0, return_size: 0 };

macro_rules! function {
    ($number:literal, $function:expr) => {
        Dispatch { number: $number, function: $function as *const c_void }
    };
}

static PROVIDER: Table<Dispatch, 2> = Table([function!(1027, query_operation), END]);

/// The functions of a keymgmt whose `new` is given.
const fn keymgmt(new: unsafe extern "C" fn(*mut c_void) -> *mut c_void) -> Table<Dispatch, 10> {
    Table([
        function!(1, new),
        function!(10, free_key),
        function!(11, get_params),
        function!(12, gettable_params),
        function!(20, operation_name),
        function!(21, has),
        function!(23, matches),
        function!(40, import),
        function!(41, import_types),
        END,
    ])
}

static RSA: Table<Dispatch, 10> = keymgmt(new_rsa);
static EC: Table<Dispatch, 10> = keymgmt(new_ec);
static ED25519: Table<Dispatch, 10> = keymgmt(new_ed25519);

static SIGNATURE: Table<Dispatch, 7> = Table([
    function!(1, new_operation),
    function!(8, begin),
    function!(11, sign),
    function!(16, free_operation),
    function!(20, set_params),
    function!(21, settable_params),
    END,
]);

const fn algorithm<const N: usize>(
    names: &'static CStr,
    functions: &'static Table<Dispatch, N>,
) -> Algorithm {
    Algorithm {
        names: names.as_ptr(),
        properties: c"provider=qmail-remote".as_ptr(),
        implementation: functions.0.as_ptr(),
        description: null(),
    }
}

static KEYS: Table<Algorithm, 4> = Table([
    algorithm(c"RSA:rsaEncryption", &RSA),
    algorithm(c"EC:id-ecPublicKey", &EC),
    algorithm(c"ED25519", &ED25519),
    NO_ALGORITHM,
]);

/// One name for all kinds of keys: the key knows what it is. See [`operation_name`].
static SIGNATURES: Table<Algorithm, 2> = Table([algorithm(SIGNATURE_NAME, &SIGNATURE), NO_ALGORITHM]);
const SIGNATURE_NAME: &CStr = c"qmail-remote";

/// `key`, of a type that OpenSSL checks when it fills in.
const fn parameter(key: &'static CStr, data_type: u32) -> OSSL_PARAM {
    OSSL_PARAM { key: key.as_ptr(), data_type, ..NO_PARAMETER }
}
// openssl/core.h
const INTEGER: u32 = 1;
const UNSIGNED: u32 = 2;
const TEXT: u32 = 4;
const OCTETS: u32 = 5;

static GETTABLE: Table<OSSL_PARAM, 5> = Table([
    parameter(BITS, INTEGER),
    parameter(SECURITY_BITS, INTEGER),
    parameter(MAX_SIZE, INTEGER),
    parameter(GROUP, TEXT),
    NO_PARAMETER,
]);
const BITS: &CStr = c"bits";
const SECURITY_BITS: &CStr = c"security-bits";
const MAX_SIZE: &CStr = c"max-size";

static IMPORTABLE: Table<OSSL_PARAM, 5> = Table([
    parameter(c"n", UNSIGNED),
    parameter(c"e", UNSIGNED),
    parameter(GROUP, TEXT),
    parameter(c"pub", OCTETS),
    NO_PARAMETER,
]);

static SETTABLE: Table<OSSL_PARAM, 3> =
    Table([parameter(PAD_MODE, TEXT), parameter(SALT_LENGTH, TEXT), NO_PARAMETER]);
const PAD_MODE: &CStr = c"pad-mode";
const SALT_LENGTH: &CStr = c"saltlen";

/// OSSL_provider_init_fn: the provider's own functions.
pub(super) unsafe extern "C" fn init(
    handle: *const c_void,
    _offered: *const Dispatch,
    table: *mut *const Dispatch,
    provider: *mut *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL gives the place of a pointer, to be written.
    unsafe { table.write(PROVIDER.0.as_ptr()) };
    // SAFETY: likewise. It comes back as the first argument of other calls, which do not look at it.
    unsafe { provider.write(handle.cast_mut()) };
    1
}

/// provider_query_operation.
unsafe extern "C" fn query_operation(
    _provider: *mut c_void,
    operation: c_int,
    no_store: *mut c_int,
) -> *const Algorithm {
    // SAFETY: OpenSSL gives the place of a number, to be written: its answer may be kept.
    unsafe { no_store.write(0) };
    match operation {
        OP_KEYMGMT => KEYS.0.as_ptr(),
        OP_SIGNATURE => SIGNATURES.0.as_ptr(),
        _ => null(),
    }
}

fn new_key(kind: Kind) -> *mut c_void {
    Box::into_raw(Box::new(Key::new(kind))).cast()
}

/// keymgmt_new.
extern "C" fn new_rsa(_provider: *mut c_void) -> *mut c_void {
    new_key(Kind::Rsa)
}

/// keymgmt_new.
extern "C" fn new_ec(_provider: *mut c_void) -> *mut c_void {
    new_key(Kind::Ec)
}

/// keymgmt_new.
extern "C" fn new_ed25519(_provider: *mut c_void) -> *mut c_void {
    new_key(Kind::Ed25519)
}

/// keymgmt_free.
unsafe extern "C" fn free_key(key: *mut c_void) {
    if !key.is_null() {
        // SAFETY: the pointer is from `new_key`, and OpenSSL frees it once.
        drop(unsafe { Box::from_raw(key.cast::<Key>()) });
    }
}

/// The key behind a pointer.
///
/// # Safety
/// It must be null or from `new_key`, not freed, and nobody may be changing it.
unsafe fn key<'a>(key: *const c_void) -> Option<&'a Key> {
    // SAFETY: as the caller says.
    unsafe { key.cast::<Key>().as_ref() }
}

/// keymgmt_query_operation_name.
extern "C" fn operation_name(_operation: c_int) -> *const c_char {
    SIGNATURE_NAME.as_ptr()
}

/// keymgmt_has: everything, once there is something. The private half is there too, only elsewhere.
unsafe extern "C" fn has(pointer: *const c_void, _selection: c_int) -> c_int {
    // SAFETY: OpenSSL's pointer of a key.
    let key = unsafe { key(pointer) };
    key.is_some_and(|key| !key.parts.is_empty()).into()
}

/// keymgmt_match: whether two keys have the same public half.
unsafe extern "C" fn matches(one: *const c_void, other: *const c_void, _selection: c_int) -> c_int {
    // SAFETY: OpenSSL's pointer of a key.
    let one = unsafe { key(one) };
    // SAFETY: likewise.
    let other = unsafe { key(other) };
    let same = |(one, other): (&Key, &Key)| {
        one.kind == other.kind && one.parts == other.parts && !one.parts.is_empty()
    };
    one.zip(other).is_some_and(same).into()
}

/// keymgmt_import: takes the public half. There is nothing else that it would take.
unsafe extern "C" fn import(pointer: *mut c_void, _selection: c_int, params: *const OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL's pointer of a key that it is making, so nobody else has it.
    let Some(key) = (unsafe { pointer.cast::<Key>().as_mut() }) else { return 0 };
    // SAFETY: OpenSSL's parameters, in the callback.
    let given = unsafe { Given::new(params) };
    match key.kind.parts().iter().map(|name| given.octets(name)).collect() {
        Some(parts) => key.parts = parts,
        None => return 0,
    }
    1
}

/// keymgmt_import_types.
extern "C" fn import_types(_selection: c_int) -> *const OSSL_PARAM {
    IMPORTABLE.0.as_ptr()
}

/// keymgmt_get_params.
unsafe extern "C" fn get_params(pointer: *mut c_void, params: *mut OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL's pointer of a key.
    let Some(key) = (unsafe { key(pointer) }) else { return 0 };
    // SAFETY: OpenSSL's parameters, in the callback.
    let asked = unsafe { Given::new(params) };
    let group = || match key.group().map(CString::new) {
        Some(Ok(group)) => asked.answer_text(GROUP, &group),
        Some(Err(_)) => false,
        None => true,
    };
    let answered = asked.answer_size(BITS, key.bits())
        && asked.answer_size(SECURITY_BITS, key.security_bits())
        && asked.answer_size(MAX_SIZE, key.longest_signature())
        && group();
    answered.into()
}

/// keymgmt_gettable_params.
extern "C" fn gettable_params(_provider: *mut c_void) -> *const OSSL_PARAM {
    GETTABLE.0.as_ptr()
}

/// What a signature's context is: an operation, once it has begun.
type Context = Option<Operation>;

/// The context behind a pointer.
///
/// # Safety
/// It must be null or from `new_operation`, not freed, and nobody else may have it.
unsafe fn context<'a>(context: *mut c_void) -> Option<&'a mut Context> {
    // SAFETY: as the caller says.
    unsafe { context.cast::<Context>().as_mut() }
}

/// signature_newctx.
extern "C" fn new_operation(_provider: *mut c_void, _properties: *const c_char) -> *mut c_void {
    Box::into_raw(Box::new(Context::None)).cast()
}

/// signature_freectx.
unsafe extern "C" fn free_operation(context: *mut c_void) {
    if !context.is_null() {
        // SAFETY: the pointer is from `new_operation`, and OpenSSL frees it once.
        drop(unsafe { Box::from_raw(context.cast::<Context>()) });
    }
}

/// signature_digest_sign_init.
unsafe extern "C" fn begin(
    pointer: *mut c_void,
    digest: *const c_char,
    signing_key: *mut c_void,
    params: *const OSSL_PARAM,
) -> c_int {
    // SAFETY: OpenSSL's pointer of a context.
    let Some(context) = (unsafe { context(pointer) }) else { return 0 };
    // SAFETY: OpenSSL's pointer of a key.
    let key = unsafe { key(signing_key) };
    let digest = if digest.is_null() {
        None
    } else {
        // SAFETY: the name of a digest ends in NUL.
        Some(unsafe { CStr::from_ptr(digest) })
    };
    *context = key.and_then(|key| Operation::new(key, digest.map(CStr::to_bytes)));
    // SAFETY: OpenSSL's parameters, in the callback.
    let given = unsafe { Given::new(params) };
    context.as_mut().is_some_and(|operation| set(operation, given)).into()
}

/// signature_set_ctx_params.
unsafe extern "C" fn set_params(pointer: *mut c_void, params: *const OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL's pointer of a context.
    let context = unsafe { context(pointer) };
    // SAFETY: OpenSSL's parameters, in the callback.
    let given = unsafe { Given::new(params) };
    context.and_then(Option::as_mut).is_some_and(|operation| set(operation, given)).into()
}

/// Takes what is asked for, or refuses: a signature of another form than was asked for would be none.
fn set(operation: &mut Operation, given: Given) -> bool {
    let (name, number) = SALT_AS_DIGEST;
    let salt = match (given.number(SALT_LENGTH), given.octets(SALT_LENGTH)) {
        (Some(length), _) => length == number,
        (None, Some(text)) => text == name,
        (None, None) => true,
    };
    let padding = match (given.number(PAD_MODE), given.octets(PAD_MODE)) {
        (Some(mode), _) => Padding::numbered(mode),
        (None, Some(text)) => Padding::named(&text),
        (None, None) => return salt,
    };
    salt && padding.is_some_and(|padding| operation.pad(padding))
}

/// signature_settable_ctx_params.
extern "C" fn settable_params(_context: *mut c_void, _provider: *mut c_void) -> *const OSSL_PARAM {
    SETTABLE.0.as_ptr()
}

/// signature_digest_sign: the most octets that a signature may have, when there is no place for one; else the signature.
unsafe extern "C" fn sign(
    pointer: *mut c_void,
    signature: *mut c_uchar,
    length: *mut usize,
    room: usize,
    octets: *const c_uchar,
    count: usize,
) -> c_int {
    // SAFETY: OpenSSL's pointer of a context.
    let Some(operation) = (unsafe { context(pointer) }).and_then(|context| context.as_ref()) else {
        return 0;
    };
    if signature.is_null() {
        // SAFETY: OpenSSL gives the place of a number, to be written.
        unsafe { length.write(operation.longest()) };
        return 1;
    }
    if octets.is_null() {
        return 0;
    }
    // SAFETY: `count` octets stand at `octets` as long as the callback runs.
    let octets = unsafe { std::slice::from_raw_parts(octets, count) };
    let made = operation.scheme().and_then(|scheme| ffi::sign(scheme, octets));
    let Some(made) = made.filter(|made| made.len() <= room) else { return 0 };
    // SAFETY: `signature` has `room` octets, which is no fewer, and is none of ours.
    unsafe { signature.copy_from_nonoverlapping(made.as_ptr(), made.len()) };
    // SAFETY: OpenSSL gives the place of a number, to be written.
    unsafe { length.write(made.len()) };
    1
}
