//! What the monitor knows and the network child does not, and how AUTH is answered from it. Monitor only.
//!
//! Sealed before the fork. The credentials are opened by what `outcome` permits and given up at the first use: nothing of
//! them is used twice. The key goes to the signer after the fork.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use zeroize::Zeroizing;

use super::client_key::{SealedKey, Unusable};
use super::control::routes::Credentials;
use super::signer::Signer;
use crate::ipc::Reply;
use crate::ipc::secret::Secret;
use crate::plan::Plan;

/// The secrets of one delivery.
#[derive(Debug, Default)]
pub struct Secrets {
    /// User and password of the route, until they are used.
    pub credentials: Option<Credentials>,
    /// The key of the client certificate, until it is opened.
    pub client_key: Option<SealedKey>,
}

impl Secrets {
    /// Opens the key of the client certificate that the plan has. Not before the fork; once.
    pub fn open_key(&mut self, plan: &Plan) -> Result<Option<Signer>, Unusable> {
        match (self.client_key.take(), &plan.client_certificate) {
            (Some(key), Some(certificate)) => key.open(certificate).map(Some),
            (Some(_), None) | (None, _) => Ok(None),
        }
    }

    /// User and password for LOGIN or PLAIN. Once; none afterwards.
    pub fn release(&mut self) -> Option<Reply> {
        let credentials = self.credentials.take()?;
        Some(Reply::Credentials {
            user: Secret::new(credentials.user())?,
            password: Secret::new(credentials.password())?,
        })
    }

    /// The response to a challenge of CRAM-MD5, as it is sent (RFC 2195 section 2): user, blank, and the challenge's
    /// digest with the password as its key, in base64. Once; none afterwards.
    pub fn digest(&mut self, challenge: &[u8]) -> Option<Reply> {
        let credentials = self.credentials.take()?;
        let mut hmac = Hmac::<Md5>::new_from_slice(credentials.password()).ok()?;
        hmac.update(challenge);
        let mut response = Zeroizing::new(credentials.user().to_vec());
        response.push(b' ');
        for octet in hmac.finalize().into_bytes() {
            response.extend_from_slice(format!("{octet:02x}").as_bytes());
        }
        Secret::new(STANDARD.encode(&*response).as_bytes()).map(Reply::CramMd5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::control::routes::Origin;
    use crate::monitor::control::smtproutes;
    use crate::sealed::Sealed;

    fn secrets(line: &str) -> Secrets {
        let route = smtproutes::parse(Origin { file: "smtproutes", line: 1 }, line.as_bytes()).unwrap();
        let credentials = route.with(Sealed::copy_of(line.as_bytes()).unwrap()).credentials;
        Secrets { credentials, client_key: None }
    }

    #[test]
    fn the_example_of_rfc_2195() {
        let mut secrets = secrets("r.test|tim|tanstaaftanstaaf");
        let response = b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
        let reply = Some(Reply::CramMd5(Secret::new(response).unwrap()));
        assert_eq!(secrets.digest(b"<1896.697170952@postoffice.reston.mci.net>"), reply);
        assert_eq!(secrets.digest(b"again"), None);
        assert_eq!(secrets.release(), None);
    }

    #[test]
    fn user_and_password_leave_once() {
        let mut secrets = secrets("r.test|u:\u{fc}|p|q:\u{fc}");
        let [user, password] = ["u:\u{fc}", "p|q:\u{fc}"].map(|text| Secret::new(text.as_bytes()).unwrap());
        assert_eq!(secrets.release(), Some(Reply::Credentials { user, password }));
        assert_eq!(secrets.release(), None);
        assert_eq!(secrets.digest(b"x"), None);
    }

    #[test]
    fn a_password_longer_than_a_block_of_the_digest_is_a_key_too() {
        // By OpenSSL: printf x | openssl dgst -md5 -hmac $(printf 'p%.0s' $(seq 1024)).
        let reply = secrets(&format!("r.test|u|{}", "p".repeat(1024))).digest(b"x").unwrap();
        let Reply::CramMd5(response) = reply else { panic!("{reply:?}") };
        let response = STANDARD.decode(response.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(response).unwrap(), "u 090999a0390eb6c261df69649c547c65");
    }
}
