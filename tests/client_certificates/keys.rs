//! Keys, their certificates, and the files that `domaincerts` names.

use std::path::PathBuf;

use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use world::World;
use world::certificates::{Content, Identity};

pub(crate) fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

pub(crate) fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

/// A certificate of this key, for `client.test`.
pub(crate) fn certified(key: &PKey<Private>) -> Identity {
    let names = &["client.test"];
    let content = Content { names, for_clients: true, key: Some(key), ..Content::default() };
    Identity::self_signed_with(&content).unwrap()
}

pub(crate) fn certificate_pem(identity: &Identity) -> Vec<u8> {
    identity.certificate.to_pem().unwrap()
}

pub(crate) fn key_pem(identity: &Identity) -> Vec<u8> {
    identity.key.private_key_to_pem_pkcs8().unwrap()
}

/// Writes `client.pem` and `client.key` and has every sender use them.
pub(crate) fn installed(world: &World, identity: &Identity) -> (PathBuf, PathBuf) {
    let files = identity.write(&world.scratch(), "client").unwrap();
    select(world, &format!("{}|{}", files.certificate.display(), files.key.display()));
    (files.certificate, files.key)
}

/// Has every sender use this.
pub(crate) fn select(world: &World, value: &str) {
    world.control("domaincerts", format!("*:{value}\n"));
}
