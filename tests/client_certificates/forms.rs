//! Every form in which a key may stand in its file.

use openssl::ec::EcKey;
use openssl::nid::Nid;
use openssl::pkey::Private;
use openssl::symm::Cipher;
use world::{World, in_world};

use crate::keys::{certificate_pem, certified, ec, key_pem, rsa, select};
use crate::postfix::{assert_relayed, deliver, server};

const PASSWORD: &str = "p|w:\u{fc} x";

/// A delivery with each of these key files and passwords is relayed.
fn all_serve(world: &World, client: &world::certificates::Identity, forms: &[(&str, Vec<u8>, &str)]) {
    let server = server(world, &[client], &[]);
    let certificate = world.file("client.pem", certificate_pem(client));
    for (form, key, password) in forms {
        println!("{form}");
        let key = world.file("client.key", key);
        let password = if password.is_empty() { String::new() } else { format!("|{password}") };
        select(world, &format!("{}|{}{password}", certificate.display(), key.display()));
        assert_relayed(&server, &deliver(world, "2513"));
    }
}

#[test]
fn rsa_keys_in_every_form() {
    in_world(|world| {
        let client = certified(&rsa());
        let traditional = client.key.rsa().unwrap();
        let encrypted =
            |cipher| traditional.private_key_to_pem_passphrase(cipher, PASSWORD.as_bytes()).unwrap();
        let pkcs8 =
            client.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), PASSWORD.as_bytes());
        let with_lines_of_windows = String::from_utf8(key_pem(&client)).unwrap().replace('\n', "\r\n");
        all_serve(
            world,
            &client,
            &[
                ("PKCS#8", key_pem(&client), ""),
                ("PKCS#8, and a password that is not needed", key_pem(&client), PASSWORD),
                ("PKCS#8, encrypted", pkcs8.unwrap(), PASSWORD),
                ("traditional", traditional.private_key_to_pem().unwrap(), ""),
                ("traditional, AES", encrypted(Cipher::aes_128_cbc()), PASSWORD),
                ("traditional, Triple DES", encrypted(Cipher::des_ede3_cbc()), PASSWORD),
                ("lines that end in CR LF", with_lines_of_windows.into_bytes(), ""),
            ],
        );
    });
}

#[test]
fn keys_of_curves_in_every_form() {
    in_world(|world| {
        let client = certified(&ec(Nid::SECP384R1));
        let traditional: EcKey<Private> = client.key.ec_key().unwrap();
        let parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n";
        let plain = traditional.private_key_to_pem().unwrap();
        let encrypted = traditional.private_key_to_pem_passphrase(Cipher::aes_256_cbc(), PASSWORD.as_bytes());
        let longest = "0123456789abcdef".repeat(64);
        let pkcs8 = client.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), longest.as_bytes());
        all_serve(
            world,
            &client,
            &[
                ("PKCS#8", key_pem(&client), ""),
                ("PKCS#8, encrypted with 1 KiB", pkcs8.unwrap(), &longest),
                ("traditional", plain.clone(), ""),
                ("traditional, encrypted", encrypted.unwrap(), PASSWORD),
                ("with parameters before it", [parameters.as_bytes(), &plain].concat(), ""),
            ],
        );
    });
}

#[test]
fn a_key_in_the_certificates_file() {
    in_world(|world| {
        let client = certified(&ec(Nid::X9_62_PRIME256V1));
        let server = server(world, &[&client], &[]);
        let (certificate, key) = (certificate_pem(&client), key_pem(&client));
        let pkcs8 =
            client.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), PASSWORD.as_bytes());
        for (content, rest) in [
            ([&*key, &*certificate].concat(), ""),
            ([&*certificate, &*key].concat(), ""),
            ([b"a comment\n", &*certificate, b"\nanother\n", &*key].concat(), ""),
            ([&*certificate, &*pkcs8.unwrap()].concat(), "||"),
        ] {
            let file = world.file("client.pem", content);
            let password = if rest.is_empty() { String::new() } else { format!("{rest}{PASSWORD}") };
            select(world, &format!("{}{password}", file.display()));
            assert_relayed(&server, &deliver(world, "2513"));
        }
        // A relative name begins at qmail's home.
        std::fs::copy(world.scratch().join("client.pem"), world.control_directory().join("client.pem"))
            .unwrap();
        select(world, &format!("control/client.pem||{PASSWORD}"));
        assert_relayed(&server, &deliver(world, "2513"));
    });
}
