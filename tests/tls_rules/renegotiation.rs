//! A server that wants another handshake in the midst of TLS 1.2 (RFC 5246 section 7.4.1.1), by the real `openssl s_server`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use world::certificates::Identity;
use world::programs::command;
use world::{Needs, in_world};

use crate::held::delivery;
use crate::support::*;

#[test]
fn another_handshake_is_refused_and_the_message_waits() {
    in_world(|world| {
        world.require(Needs::Program("openssl"));
        let _dns = secure_dns();
        let identity = Identity::self_signed(&[EXCHANGER]).unwrap();
        let certificate = world.file("certificate.pem", identity.certificate.to_pem().unwrap());
        let key = world.file("key.pem", identity.key.private_key_to_pem_pkcs8().unwrap());
        let mut server = command("openssl")
            .args(["s_server", "-accept", "192.0.2.10:465", "-tls1_2", "-naccept", "1", "-crlf", "-msg"])
            .arg("-cert")
            .arg(certificate)
            .arg("-key")
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut commands = server.stdin.take().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.by_ref().any(|line| line.starts_with("ACCEPT")));
        world.control("me", "client.example.test\n");
        world.control("tlsdestinations", "*:;465\n");
        world.control("timeoutremote", "10\n");
        let running = delivery().start();
        // It speaks, and knows what `r` means, once there is a session.
        assert!(lines.by_ref().any(|line| line.starts_with("CIPHER is")));
        commands.write_all(b"220 mx1 ESMTP\n").unwrap();
        assert!(lines.by_ref().any(|line| line.starts_with("EHLO ")));
        commands.write_all(b"r\n").unwrap();
        running.wait().assert_reports(&["ZConnected to 192.0.2.10 but connection died. (#4.4.2)\n"]);
        // One that got its handshake would have been left in silence.
        assert!(lines.any(|line| line.ends_with("warning no_renegotiation")));
        drop(commands);
        let _ = server.kill();
        server.wait().unwrap();
    });
}
