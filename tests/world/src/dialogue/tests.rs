//! The servers of a dialogue against a small client.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use super::{Dialogue, Mismatch, Step};

/// A dialogue of this server alone, on a port of 127.0.0.1.
fn dialogue(port: u16, steps: &[&str]) -> Dialogue {
    let steps: String = steps.iter().map(|step| format!("    {step}\n")).collect();
    let text = format!(
        "server 127.0.0.1:{port}\n{steps}host a\nsender b\nrecipient c\nmessage\n    .x\\n\nexpect\nbelief Z\n"
    );
    Dialogue::parse(&text).unwrap()
}

/// Plays it against a client that sends `said` and then closes; returns what the client heard.
fn play(dialogue: &Dialogue, said: &[u8]) -> (Vec<u8>, Vec<Mismatch>) {
    let servers = dialogue.serve().unwrap();
    let mut stream = TcpStream::connect(dialogue.servers[0].address).unwrap();
    stream.write_all(said).unwrap();
    let mut heard = Vec::new();
    if said.ends_with(b"QUIT\r\n") || said.is_empty() {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut heard);
    }
    drop(stream);
    (heard, servers.finish())
}

#[test]
fn a_client_that_does_not_wait_for_a_reply_is_seen() {
    crate::in_world(|_| {
        let dialogue =
            dialogue(2611, &["c: EHLO me", "c~ MAIL", "body converted", "s: 250 ok", "s+ 250-\\x00", "quit"]);
        let (heard, mismatches) = play(&dialogue, b"EHLO me\r\nMAIL FROM:<>\r\n..x\r\n.\r\nQUIT\r\n");
        // QUIT came before the reply to the message.
        assert_eq!(mismatches.len(), 1, "{mismatches:?}");
        assert_eq!((mismatches[0].line, mismatches[0].seen.as_str()), (5, "already: QUIT\\r\\n"));
        assert!(heard.is_empty());
    });
}

#[test]
fn replies_go_out_to_the_byte() {
    crate::in_world(|_| {
        let dialogue = dialogue(2612, &["s: 220 x", "s+ 250-\\x00\\xff\\r", "drip \"ab\" 3 times", "close"]);
        let (heard, mismatches) = play(&dialogue, b"");
        assert_eq!(heard, b"220 x\r\n250-\x00\xff\rababab");
        assert_eq!(mismatches, []);
    });
}

#[test]
fn another_line_is_a_mismatch_that_shows_both() {
    crate::in_world(|_| {
        let dialogue = dialogue(2613, &["c: EHLO me", "quit"]);
        let (_, mismatches) = play(&dialogue, b"EHLO you\r\n");
        let [mismatch] = &mismatches[..] else { panic!("{mismatches:?}") };
        assert_eq!(mismatch.to_string(), "line 2:\n  expected: EHLO me\\r\\n\n  seen:     EHLO you\\r\\n");
    });
}

#[test]
fn a_bare_line_feed_does_not_end_a_command() {
    crate::in_world(|_| {
        let dialogue = dialogue(2614, &["c~ EHLO", "eof"]);
        let (_, mismatches) = play(&dialogue, b"EHLO you\n");
        assert_eq!(mismatches[0].line, 2);
    });
}

#[test]
fn an_early_end_of_data_shows_as_a_difference() {
    crate::in_world(|_| {
        let dialogue = dialogue(2615, &["body is", "    a\\r\\n", "    .\\r\\n", "eof"]);
        let (_, mismatches) = play(&dialogue, b"a\r\n.\r\nRCPT\r\n.\r\n");
        assert_eq!(mismatches.iter().map(|mismatch| mismatch.line).collect::<Vec<_>>(), [5]);
    });
}

#[test]
fn abandoned_means_that_the_end_never_came() {
    crate::in_world(|_| {
        let dialogue = dialogue(2616, &["abandoned", "connection", "abandoned"]);
        let servers = dialogue.serve().unwrap();
        for text in [b"a\r\n".as_slice(), b"a\r\n.\r\n"] {
            TcpStream::connect(dialogue.servers[0].address).unwrap().write_all(text).unwrap();
        }
        let mismatches = servers.finish();
        assert_eq!(mismatches.iter().map(|mismatch| mismatch.line).collect::<Vec<_>>(), [4]);
    });
}

#[test]
fn missing_and_surplus_connections_are_mismatches() {
    crate::in_world(|_| {
        let wanted = dialogue(2617, &["eof", "connection", "eof"]);
        let (_, mismatches) = play(&wanted, b"");
        assert_eq!((mismatches[0].line, mismatches[0].seen.as_str()), (3, "none"));

        let unwanted = dialogue(2618, &["never"]);
        let (_, mismatches) = play(&unwanted, b"");
        assert_eq!((mismatches[0].line, mismatches[0].seen.as_str()), (1, "one more"));
    });
}

#[test]
fn a_reset_is_a_reset() {
    crate::in_world(|_| {
        let dialogue = dialogue(2619, &["c: EHLO me", "reset"]);
        let servers = dialogue.serve().unwrap();
        let mut stream = TcpStream::connect(dialogue.servers[0].address).unwrap();
        stream.write_all(b"EHLO me\r\n").unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(servers.finish(), []);
    });
}

#[test]
fn tls_in_the_middle_and_the_name_it_is_for() {
    crate::in_world(|_| {
        let dialogue =
            dialogue(2620, &["s: 220 go", "tls mx9.example.test", "c: EHLO me", "s: 250 hi", "eof"]);
        let servers = dialogue.serve().unwrap();
        let mut stream = TcpStream::connect(dialogue.servers[0].address).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        let mut builder = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
        builder.cert_store_mut().add_cert(servers.authority().identity().certificate.clone()).unwrap();
        let mut stream = builder.build().connect("mx1.example.test", stream).unwrap();
        let _ = stream.write_all(b"EHLO me\r\n");
        drop(stream);
        let [mismatch] = &servers.finish()[..] else { panic!() };
        assert_eq!(mismatch.line, 3);
        assert!(mismatch.seen.contains("mx1.example.test"), "{mismatch}");
    });
}

#[test]
fn a_silent_address_answers_no_connection() {
    crate::in_world(|_| {
        let text = "silent 127.0.0.1:2621\nhost a\nsender b\nrecipient c\nmessage\nexpect\nbelief Z\n";
        let dialogue = Dialogue::parse(text).unwrap();
        let _servers = dialogue.serve().unwrap();
        let attempt = TcpStream::connect_timeout(&dialogue.silent[0], std::time::Duration::from_millis(300));
        assert_eq!(attempt.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

/// The steps of the only connection of a dialogue with this server.
fn steps_of(lines: &[&str], form: impl Fn(&Dialogue) -> Option<Dialogue>) -> Option<Vec<Step>> {
    let mut text =
        "host a\nsender b\nrecipient c\nrecipient d\nmessage\n    x\\n\nserver 127.0.0.1:25\n".to_owned();
    text.extend(lines.iter().map(|line| format!("    {line}\n")));
    text.push_str("    quit\nexpect\nbelief K\n");
    let dialogue = form(&Dialogue::parse(&text).unwrap())?;
    Some(dialogue.servers[0].connections[0].steps.iter().map(|step| step.what.clone()).collect())
}

#[test]
fn other_forms_have_the_same_lines_in_fewer_flights() {
    let as_it_is = |dialogue: &Dialogue| Some(dialogue.clone());
    let lock_step = [
        "s: 220 hi",
        "c: EHLO me",
        "s: 250 hi",
        "c: MAIL FROM:<b>",
        "s: 250 a",
        "c: RCPT TO:<c>",
        "s: 550 b",
        "c: RCPT TO:<d>",
        "s: 250 c",
        "c: DATA",
        "s: 354 go",
        "body converted",
        "s: 250 queued",
    ];
    let pipelined = [
        "s: 220 hi",
        "c: EHLO me",
        "s+ 250-hi\\r\\n250 PIPELINING\\r\\n",
        "c: MAIL FROM:<b>",
        "c: RCPT TO:<c>",
        "c: RCPT TO:<d>",
        "c: DATA",
        "s: 250 a",
        "s: 550 b",
        "s: 250 c",
        "s: 354 go",
        "body converted",
        "s: 250 queued",
    ];
    let chunked = [
        "s: 220 hi",
        "c: EHLO me",
        "s+ 250-hi\\r\\n250-PIPELINING\\r\\n250 CHUNKING\\r\\n",
        "c: MAIL FROM:<b>",
        "c: RCPT TO:<c>",
        "c: RCPT TO:<d>",
        "chunk converted",
        "s: 250 a",
        "s: 550 b",
        "s: 250 c",
        "s: 250 queued",
    ];
    assert_eq!(steps_of(&lock_step, Dialogue::pipelined), steps_of(&pipelined, as_it_is));
    assert_eq!(steps_of(&lock_step, Dialogue::chunked), steps_of(&chunked, as_it_is));
    // Nothing is changed where a server has a form of its own, or never gets that far.
    for form in [Dialogue::pipelined, Dialogue::chunked] {
        assert_eq!(steps_of(&pipelined, form), None);
        assert_eq!(steps_of(&chunked, form), None);
        assert_eq!(
            steps_of(&["s: 220 hi", "c: HELO me", "s: 250 hi", "c: MAIL FROM:<b>", "s: 550 no"], form),
            None
        );
    }
    assert_eq!(steps_of(&lock_step[..9], Dialogue::chunked), None);
}
