//! The oldest protocol is the system's, and TLS 1.2 where that says nothing: no security level changes it.

use openssl::ssl::{SslAcceptor, SslMethod, SslOptions, SslVersion};
use world::certificates::Identity;
use world::in_world;

use crate::support::*;

const OLD: [SslVersion; 2] = [SslVersion::TLS1, SslVersion::TLS1_1];

/// Rules whose security level lets pass what those old protocols are signed with.
const OF_LEVEL_0: [&str; 5] =
    ["-:", "-*:", "-example.test:||aNULL:!kRSA", "example.test:|DEFAULT@SECLEVEL=0", "*:|ALL:@SECLEVEL=0"];

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
