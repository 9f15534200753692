//! OpenSSL's configuration, config(5): the system's policy for protocols and ciphers.
//!
//! Network child. The file is the administrator's and trusted; what must be right here is when it is used. It can only be
//! read before the sandbox closes the file system, and parsing it takes a tenth of a delivery in clear. So it is read there
//! and parsed once TLS is wanted, where all that it can make OpenSSL do is known to open no other file. Where that is not
//! known (`.include`, modules from files), OpenSSL gets all of it before.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::OnceLock;

use super::ffi;

/// The text that waits.
static WAITING: OnceLock<Vec<u8>> = OnceLock::new();
/// Whether OpenSSL could use what there is.
static USABLE: OnceLock<bool> = OnceLock::new();

/// A longer file is OpenSSL's to read: nobody looks through it for every message.
const LONGEST: u64 = 64 * 1024;

/// Reads the file. Must run before the sandbox closes the file system. A file that cannot be used shows when TLS is set up.
pub(in crate::network) fn fetch() {
    let text = ffi::configuration_file().and_then(|path| read(&path).ok().flatten());
    let _ = match text {
        Some(text) if opens_nothing(&text) => {
            // Some builds of OpenSSL read a file of the kernel's for this (whether FIPS 140 is asked for).
            ffi::make_default_context();
            WAITING.set(text).is_ok()
        }
        Some(_) | None => USABLE.set(ffi::load_configuration()).is_ok(),
    };
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok((text.len() as u64 != LONGEST).then_some(text))
}

/// Has OpenSSL use what [`fetch`] has read: once, before anything else is asked of it. False: the file cannot be used, and
/// says (`config_diagnostics`) that then nothing works.
pub(super) fn apply() -> bool {
    *USABLE.get_or_init(|| WAITING.get().is_some_and(|text| ffi::apply_configuration(text)))
}

/// What a line of the file says: `name = value` in its section.
#[derive(Clone, Copy, Debug)]
struct Setting<'a> {
    section: &'a str,
    name: &'a str,
    value: &'a str,
}

/// Providers that are part of libcrypto, OSSL_PROVIDER-default(7) and its kin.
const BUILT_IN_PROVIDERS: [&str; 3] = ["default", "base", "null"];

/// Whether all that this text can make OpenSSL do is known to open no file.
fn opens_nothing(text: &[u8]) -> bool {
    std::str::from_utf8(text).ok().and_then(settings).is_some_and(|settings| is_known(&settings).is_some())
}

/// None where anything is not known, or said more than once.
fn is_known(settings: &[Setting<'_>]) -> Option<()> {
    let of = |section| settings.iter().filter(move |it: &&Setting<'_>| it.section == section);
    let Some(modules) = only(of("default"), "openssl_conf")? else { return Some(()) };
    // What is said of ssl_conf is kept until a context is made.
    if !of(modules).all(|it| ["providers", "ssl_conf"].contains(&it.name)) {
        return None;
    }
    let Some(providers) = only(of(modules), "providers")? else { return Some(()) };
    let mut seen = 0usize;
    for provider in of(providers) {
        seen = seen.saturating_add(1);
        let is_plain = seen <= BUILT_IN_PROVIDERS.len() && is_word(provider.value);
        let has_plain_section = || of(provider.value).all(|it| it.name == "activate" && it.value == "1");
        if !(BUILT_IN_PROVIDERS.contains(&provider.name) && is_plain && has_plain_section()) {
            return None;
        }
    }
    Some(())
}

/// The section that the only setting of this name stands for. None where that is no plain word, or where there are several.
fn only<'a>(settings: impl Iterator<Item = &'a Setting<'a>>, name: &str) -> Option<Option<&'a str>> {
    let mut values = settings.filter(|it| it.name == name).map(|it| it.value);
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(section), None) if is_word(section) => Some(Some(section)),
        (Some(_), _) => None,
    }
}

/// The settings of a text that keeps to the plain part of the format: no directive, no line that goes on in the next, no
/// setting for another section.
fn settings(text: &str) -> Option<Vec<Setting<'_>>> {
    let mut section = "default";
    let mut settings = Vec::new();
    // All of them are looked at, so that many are at a time.
    // A CR ends a line for OpenSSL at some places, and a backslash does not end it.
    let is_plain = |octet| matches!(octet, b'\t' | b'\n' | b' '..=b'~') & (octet != b'\\');
    if !text.bytes().fold(true, |so_far, octet| so_far & is_plain(octet)) {
        return None;
    }
    for line in text.lines().map(str::trim_ascii) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let (name, rest) = header.split_once(']')?;
            section = name.trim_ascii();
            if !is_word(section) || !matches!(rest.trim_ascii_start().as_bytes(), [] | [b'#', ..]) {
                return None;
            }
            continue;
        }
        let (name, value) = line.split_once('=')?;
        let name = name.trim_ascii_end();
        if name.starts_with('.') || name.contains("::") {
            return None;
        }
        settings.push(Setting { section, name, value: value.trim_ascii() });
    }
    Some(settings)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_nothing_may_wait() {
        for text in [
            "",
            "HOME = .\n",
            "openssl_conf = a\n",
            "  openssl_conf=a \n\t[ a ]\t# b\n # not yet = \"quoted\"\n",
            "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCipherString = DEFAULT:@SECLEVEL=2\n",
            "openssl_conf = a\n[a]\nproviders = b\n[b]\ndefault = c\nbase = c\n[c]\nactivate = 1\n",
            "openssl_conf = a\n[a]\nproviders = none\n",
            "[ca]\ncerts = $dir/certs\nengines = e\n[e]\ndynamic_path = /e.so\n",
        ] {
            assert!(opens_nothing(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_may_open_a_file_does_not_wait() {
        for text in [
            // Modules that open files, or that nobody has looked at.
            "openssl_conf = a\n[a]\nengines = b\n",
            "openssl_conf = a\n[a]\noid_section = b\n",
            "openssl_conf = a\n[a]\n1.engines = b\n",
            "openssl_conf = a\n[a]\nproviders = b\n[b]\nlegacy = c\n[c]\nactivate = 1\n",
            "openssl_conf = a\n[a]\nproviders = b\n[b]\ndefault = c\n[c]\nmodule = /e.so\n",
            "openssl_conf = a\n[a]\nproviders = b\n[b]\ndefault = c\n[c]\nactivate = 1 # yes\n",
            // The same by another spelling, in another place, or twice.
            ".include /etc/ssl/other.cnf\n",
            "  .include = /etc/ssl/other.cnf\n",
            ".pragma = dollarid:on\n",
            "openssl_conf = a # b\n[a]\nengines = b\n",
            "openssl_conf = \"a\"\n[a]\nengines = b\n",
            "openssl_conf = $x\n",
            "openssl_conf =\n",
            "openssl_conf = b\nopenssl_conf = a\n[a]\nengines = b\n",
            "openssl_conf = a\nopenssl_conf = b\n[a]\nengines = b\n",
            "openssl_conf = a\n[a]\nproviders = b\nproviders = c\n",
            "openssl_conf = a\n[a]\nproviders = b\n[b]\ndefault = c\nbase = c\nnull = c\ndefault = c\n",
            "[a]\n[default]\nopenssl_conf = a\n[a]\nengines = b\n",
            "openssl_conf = a\n[a]\n[b]\n[a]\nengines = b\n",
            "openssl_conf = a\na::engines = b\n",
            // Lines that go on or end early, and what is no line of the plain kind.
            "openssl_conf = a\n# \\\n[a]\nengines = b\n",
            "openssl_conf = a\n[\\\na]\nengines = b\n",
            "openssl_conf = a\r\n",
            "# \r[a]\n",
            "[a] b\n",
            "[a] b # c\n",
            "[a b]\n",
            "[a\n",
            "a\n",
            "openssl\x0b_conf = a\n",
            "\u{feff}openssl_conf = a\n[a]\nengines = b\n",
        ] {
            assert!(!opens_nothing(text.as_bytes()), "{text}");
        }
        assert!(!opens_nothing(b"\xff = a\n"));
    }
}
