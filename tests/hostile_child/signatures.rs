//! Scripts that ask for signatures by the client certificate's key.

use std::io::Write;

use openssl::hash::MessageDigest;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use openssl::x509::X509;
use qmail_remote::ipc::child_end::ChildEnd;
use qmail_remote::ipc::frame::encode;
use qmail_remote::ipc::signature::{Hash, MOST_OCTETS, Piece, Scheme};
use qmail_remote::ipc::{Claim, Message, Request, Step, TlsFailure};
use qmail_remote::plan::Plan;
use qmail_remote::tls_policy::Proof;

use crate::program::{begin, claim, connected, frames, in_session, message_pipe, replied, up_to_end_of_data};

const PSS: Scheme = Scheme::RsaPss(Hash::Sha256);
const PKCS1: Scheme = Scheme::RsaPkcs1(Hash::Sha256);
const ECDSA: Scheme = Scheme::Ecdsa(Hash::Sha256);

/// What a side of TLS 1.3 signs, with a hash of this length.
fn of_1_3(side: &str, length: usize) -> Vec<u8> {
    [&[b' '; 64][..], format!("TLS 1.3, {side} CertificateVerify\0").as_bytes(), &vec![7; length]].concat()
}

fn client(length: usize) -> Vec<u8> {
    of_1_3("client", length)
}

fn counted(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], content].concat()
}

/// What a client with this certificate signs in TLS 1.2.
fn of_1_2(certificate: &[u8]) -> Vec<u8> {
    let messages: [(u8, &[u8]); 7] = [
        (1, b"\x03\x03random"),
        (2, b"\x03\x03random"),
        (11, b""),
        (13, b"names"),
        (14, b""),
        (11, &counted(&counted(certificate))),
        (16, b"public half"),
    ];
    messages.iter().flat_map(|(kind, content)| [&[*kind][..], &counted(content)].concat()).collect()
}

fn piece(octets: &[u8]) -> Message {
    Message::ToBeSigned(Piece::try_from(octets.to_vec()).unwrap())
}

fn asks(scheme: Scheme) -> Message {
    Message::Request(Request::Sign(scheme))
}

/// To sign what is good to be signed.
fn signs() -> [Message; 2] {
    [piece(&client(32)), asks(PSS)]
}

fn certificate(plan: &Plan) -> Option<X509> {
    let chain = &plan.client_certificate.as_ref()?.chain;
    X509::from_pem(chain).ok()
}

/// Asks after the connection, and says whether the signature is what it should be, by which a test sees it.
fn asks_and_says(plan: &Plan, monitor: &mut ChildEnd, scheme: Scheme, octets: &[u8]) {
    monitor.ask_to_begin();
    send(&frames(&[connected()]));
    let signature = monitor.ask_to_sign(scheme, octets).unwrap();
    let key = certificate(plan).unwrap().public_key().unwrap();
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
    if let Scheme::RsaPss(_) = scheme {
        verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
    }
    let is_good = verifier.verify_oneshot(&signature, octets).unwrap();
    let said = replied(Step::Greeting, if is_good { "421 verified" } else { "421 of something else" });
    send(&frames(&[said, claim(Claim::Exhausted)]));
    monitor.flush();
}

fn send(bytes: &[u8]) {
    if message_pipe().write_all(bytes).is_err() {
        std::process::exit(1);
    }
}

/// The first frame as it would be if its octets were these.
fn forged(message: &Message, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut content = encode(message).unwrap().split_off(4);
    let at = content.windows(from.len()).position(|window| window == from).unwrap();
    content.splice(at..at + from.len(), to.iter().copied());
    [&u32::try_from(content.len()).unwrap().to_le_bytes()[..], &content].concat()
}

/// Runs the script if it is one of these; else returns.
pub(crate) fn attack(script: &str, plan: &Plan, monitor: &mut ChildEnd) {
    let der = certificate(plan).map(|certificate| certificate.to_der().unwrap()).unwrap_or_default();
    let connection = [begin(), connected()];
    let send_all = |before: &[Message], messages: &[Message]| send(&frames(&[before, messages].concat()));
    let in_handshake = |octets: &[u8], scheme| send_all(&connection, &[piece(octets), asks(scheme)]);
    match script {
        // Without a certificate there is nothing to verify by, and nothing to be verified.
        "sign-pss" if der.is_empty() => in_handshake(&client(32), PSS),
        "sign-pkcs1-of-1.2" if der.is_empty() => in_handshake(&of_1_2(b"none"), PKCS1),
        "sign-pss" => asks_and_says(plan, monitor, PSS, &client(32)),
        "sign-pss-48" => asks_and_says(plan, monitor, PSS, &client(48)),
        "sign-pss-of-1.2" => asks_and_says(plan, monitor, PSS, &of_1_2(&der)),
        "sign-pkcs1-of-1.2" => asks_and_says(plan, monitor, PKCS1, &of_1_2(&der)),
        "sign-ecdsa" => asks_and_says(plan, monitor, ECDSA, &client(32)),
        "sign-ecdsa-48" => asks_and_says(plan, monitor, ECDSA, &client(48)),
        "sign-ecdsa-of-1.2" => asks_and_says(plan, monitor, ECDSA, &of_1_2(&der)),
        // What is no such message.
        "sign-nothing" => send_all(&connection, &[asks(PSS)]),
        "send-to-sign" => send_all(&connection, &[piece(b"x")]),
        "sign-digest-20" => in_handshake(&[7; 20], PKCS1),
        "sign-digest-32" => in_handshake(&[7; 32], PKCS1),
        "sign-digest-48" => in_handshake(&[7; 48], PSS),
        "sign-digest-64" => in_handshake(&[7; 64], PSS),
        "sign-text" => in_handshake(b"Pay to the bearer on demand", PKCS1),
        "sign-server" => in_handshake(&of_1_3("server", 32), PSS),
        "sign-server-by-ecdsa" => in_handshake(&of_1_3("server", 32), ECDSA),
        "sign-length-0" => in_handshake(&client(0), PSS),
        "sign-length-31" => in_handshake(&client(31), PSS),
        "sign-length-33" => in_handshake(&client(33), PSS),
        "sign-length-49" => in_handshake(&client(49), PSS),
        "sign-length-64" => in_handshake(&client(64), PSS),
        "sign-another-certificate-of-1.2" => in_handshake(&of_1_2(b"another's"), PKCS1),
        "sign-server-of-1.2" => in_handshake(&[&[1; 64][..], b"\x03\x00\x17\x41", &[4; 65]].concat(), PKCS1),
        "sign-half-of-1.2" => {
            let whole = of_1_2(&der);
            in_handshake(&whole[..whole.len() / 2], PKCS1);
        }
        // Nor in this way, by this key, or as often.
        "sign-pkcs1" => in_handshake(&client(32), PKCS1),
        "sign-ed25519" => in_handshake(&client(32), Scheme::Ed25519),
        "sign-ecdsa-of-another-curve" => in_handshake(&client(48), Scheme::Ecdsa(Hash::Sha384)),
        "sign-twice" => send_all(&connection, &[signs(), signs()].concat()),
        "sign-three-times" => send_all(&connection, &[signs(), signs(), signs()].concat()),
        // The first half before a connection, the rest after the next.
        "sign-left-over" => {
            let (octets, failed) = (client(32), claim(Claim::TlsFailed(TlsFailure::Session)));
            let (one, other) = octets.split_at(64);
            send_all(&connection, &[piece(one), failed, connected(), piece(other), asks(PSS)]);
        }
        // More than there may be, or what is no message.
        "sign-too-much" => {
            send(&frames(&connection));
            for _ in 0..=MOST_OCTETS / Piece::MAX {
                send(&frames(&[piece(&[b' '; Piece::MAX])]));
            }
        }
        "sign-empty-piece" => {
            send(&[frames(&connection), forged(&piece(b"x"), b"\x01x", b"\x00")].concat());
        }
        "sign-long-piece" => {
            // 4096 and 4097 octets, as a varint of two.
            let long = forged(&piece(&[b'x'; Piece::MAX]), b"\x80\x20xx", b"\x81\x20xxx");
            send(&[frames(&connection), long].concat());
        }
        "sign-unknown-scheme" => {
            let mut frame = encode(&asks(Scheme::Ed25519)).unwrap();
            *frame.last_mut().unwrap() += 1;
            send(&[frames(&connection), frame].concat());
        }
        // In other states.
        "sign-at-once" => send(&frames(&[asks(PSS)])),
        "send-to-sign-at-once" => send(&frames(&[piece(b"x")])),
        "sign-before-connecting" => send_all(&[begin()], &signs()),
        "sign-while-walking" => send_all(&[begin(), claim(Claim::Unreachable)], &signs()),
        "sign-before-the-answer-to-ehlo" => {
            send_all(&[begin(), connected(), replied(Step::Greeting, "220 mx")], &signs());
        }
        "sign-under-tls" => {
            send_all(&connection, &[&[claim(Claim::TlsEstablished(Proof::NOTHING))], &signs()[..]].concat());
        }
        "sign-after-mail" => {
            send(&frames(&in_session(&[&[replied(Step::Mail, "250 ok")], &signs()[..]].concat())));
        }
        "send-to-sign-after-mail" => {
            send(&frames(&in_session(&[replied(Step::Mail, "250 ok"), piece(b"x")])))
        }
        "sign-after-data" => send_all(&up_to_end_of_data()[..7], &signs()),
        "sign-after-the-end-of-data" => send_all(&up_to_end_of_data(), &signs()),
        "sign-after-the-package" => send_all(&connection, &[&[claim(Claim::Package)], &signs()[..]].concat()),
        _ => return,
    }
    // What was sent counts, and a monitor that permits it has nothing more to wait for.
    std::process::exit(0)
}
