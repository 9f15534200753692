//! The oldest protocol is the system's, and TLS 1.2 where that says nothing: no security level changes it. How short the group
//! of a key exchange may be is what the level says.

use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod, SslOptions, SslVersion};
use world::certificates::{Content, Identity};
use world::in_world;

use crate::support::*;

const OLD: [SslVersion; 2] = [SslVersion::TLS1, SslVersion::TLS1_1];

/// Rules whose security level lets pass what those old protocols are signed with.
const OF_LEVEL_0: [&str; 5] =
    ["-:", "-*:", "-example.test:||aNULL:!kRSA", "example.test:|DEFAULT@SECLEVEL=0", "*:|ALL:@SECLEVEL=0"];

/// The report of a server whose group is too short.
const SHORT_GROUP: &str =
    "TLS connection/protocol error with host: mx1.example.test for example.test: dh key too small";

/// A server that knows nothing but this version.
fn server_of(version: SslVersion) -> Server {
    let identity = Identity::self_signed(&[EXCHANGER]).unwrap();
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_security_level(0);
    builder.set_cipher_list("ALL").unwrap();
    builder.clear_options(SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1);
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_certificate(&identity.certificate).unwrap();
    builder.set_private_key(&identity.key).unwrap();
    Server::with_tls(builder.build())
}

#[test]
fn no_security_level_brings_a_protocol_before_tls_1_2() {
    in_world(|world| {
        let _dns = secure_dns();
        std::fs::write(empty_system_store(world).join("openssl.cnf"), "").unwrap();
        for version in OLD {
            let server = server_of(version);
            for rule in OF_LEVEL_0 {
                server.assert_put_off(&deliver_by(world, rule), TOO_OLD);
            }
            server.assert_accepted(&deliver_by(world, "?:"), CLEAR);
        }
    });
}

/// CVE-2015-4000: who is on the way may have a server use a group whose secret can be found. Less than 1024 bits OpenSSL
/// does not take at any level, and does not let a server have.
#[test]
fn a_group_that_is_too_short_for_the_systems_security_level_is_none() {
    in_world(|world| {
        let _dns = secure_dns();
        let configuration = empty_system_store(world).join("openssl.cnf");
        let level = |level: u8| {
            let text = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCipherString = DEFAULT:@SECLEVEL=";
            std::fs::write(&configuration, format!("{text}{level}\n")).unwrap();
        };
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let content = Content { names: &[EXCHANGER], key: Some(&key), ..Content::default() };
        let identity = Identity::self_signed_with(&content).unwrap();
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        builder.set_security_level(0);
        builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        builder.set_cipher_list("DHE").unwrap();
        let generator = BigNum::from_u32(2).unwrap();
        let group = Dh::from_pqg(BigNum::get_rfc2409_prime_1024().unwrap(), None, generator).unwrap();
        builder.set_tmp_dh(&group).unwrap();
        builder.set_certificate(&identity.certificate).unwrap();
        builder.set_private_key(&identity.key).unwrap();
        let server = Server::with_tls(builder.build());
        level(2);
        for rule in [":", "example.test:"] {
            server.assert_put_off(&deliver_by(world, rule), SHORT_GROUP);
        }
        // The rules that take anonymous servers take all that OpenSSL takes.
        server.assert_accepted(&deliver_by(world, "-:"), TLS);
        level(1);
        server.assert_accepted(&deliver_by(world, ":"), TLS);
    });
}

#[test]
fn the_systems_oldest_protocol_counts() {
    in_world(|world| {
        let _dns = secure_dns();
        let configuration = empty_system_store(world).join("openssl.cnf");
        let oldest = |version: &str| {
            let text = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = ";
            std::fs::write(&configuration, format!("{text}{version}\n")).unwrap();
        };
        {
            let server = server_of(SslVersion::TLS1_1);
            oldest("TLSv1.1");
            server.assert_accepted(&deliver_by(world, "-*:"), TLS);
            oldest("TLSv1.2");
            server.assert_put_off(&deliver_by(world, "-*:"), TOO_OLD);
        }
        let server = server_of(SslVersion::TLS1_2);
        server.assert_accepted(&deliver_by(world, "-*:"), TLS);
        oldest("TLSv1.3");
        server.assert_put_off(&deliver_by(world, "-*:"), TOO_OLD);
        // The same in a file of its own, which only OpenSSL finds.
        let included = configuration.with_extension("included");
        std::fs::rename(&configuration, &included).unwrap();
        std::fs::write(&configuration, format!(".include {}\n", included.display())).unwrap();
        server.assert_put_off(&deliver_by(world, "-*:"), TOO_OLD);
        std::fs::remove_file(&configuration).unwrap();
        server.assert_accepted(&deliver_by(world, "-*:"), TLS);
    });
}

/// Files of the plain kind are read before the sandbox and parsed inside it, the others are parsed before.
#[test]
fn every_kind_of_configuration_is_used() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = server_of(SslVersion::TLS1_2);
        let configuration = empty_system_store(world).join("openssl.cnf");
        let deliver = |text: &str| {
            std::fs::write(&configuration, text).unwrap();
            deliver_by(world, "-*:")
        };
        let built_in = "providers = d\n[d]\ndefault = e\nbase = e\n[e]\nactivate = 1\n";
        for (modules, is_used) in [
            (built_in, true),
            // Without an algorithm there is no TLS.
            ("providers = d\n[d]\nnull = e\n[e]\nactivate = 1\n", false),
            // From a file of its own.
            ("providers = d\n[d]\nlegacy = e\ndefault = e\n[e]\nactivate = 1\n", true),
            ("providers = d\n[d]\nlegacy = e\n[e]\nactivate = 1\n", false),
            // Unknown.
            ("none = of these\n", true),
        ] {
            let text = format!("openssl_conf = a\n[a]\n{modules}");
            match is_used {
                true => server.assert_accepted(&deliver(&text), TLS),
                false => server.assert_put_off(&deliver(&text), NO_CONTEXT),
            }
        }
        // Longer than anybody looks through.
        let (long, none) = ("#".repeat(70_000), "providers = d\n[d]\nnull = e\n[e]\nactivate = 1\n");
        server.assert_put_off(&deliver(&format!("{long}\nopenssl_conf = a\n[a]\n{none}")), NO_CONTEXT);
        // Whoever wants to be told that something is wrong is told by a message that waits.
        for modules in [
            "none = of these\n",
            "ssl_conf = missing\n",
            "engines = b\n[b]\nnone = c\n[c]\ndynamic_path = /none\n",
        ] {
            let text = format!("config_diagnostics = 1\nopenssl_conf = a\n[a]\n{modules}");
            server.assert_put_off(&deliver(&text), NO_CONTEXT);
        }
    });
}
