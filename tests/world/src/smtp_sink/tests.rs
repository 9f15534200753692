//! The sink against a small client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use super::*;
use crate::certificates::Identity;

fn sink(port: u16, options: Options) -> (SmtpSink, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    (SmtpSink::start(&[address], options).unwrap(), address)
}

/// Sends each line and reads one whole reply for it, the greeting's first.
fn converse(stream: &mut (impl io::Read + io::Write), lines: &[&str]) -> Vec<String> {
    let mut replies = Vec::new();
    for line in lines {
        stream.write_all(line.as_bytes()).unwrap();
        replies.push(reply(stream));
    }
    replies
}

/// A reply's last line.
fn reply(stream: &mut impl io::Read) -> String {
    let mut text = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
        let last = text.split(|&byte| byte == b'\n').rev().nth(1).unwrap_or_default();
        if byte[0] == b'\n' && last.get(3) != Some(&b'-') {
            return String::from_utf8_lossy(last).trim_end().to_owned();
        }
    }
}

#[test]
fn a_message_is_kept_as_it_came() {
    crate::in_world(|_| {
        let (sink, address) = sink(2601, Options::named("mx.test"));
        let mut stream = TcpStream::connect(address).unwrap();
        assert_eq!(reply(&mut stream), "220 mx.test ESMTP");
        let replies = converse(
            &mut stream,
            &[
                "EHLO me\r\n",
                "MAIL FROM:<a@b> SIZE=3\r\n",
                "RCPT TO:<c@d>\r\n",
                "RCPT TO:<\"e>\"@f>\r\n",
                "DATA\r\n",
                "..x\r\n\r\n.\r\n",
                "STARTTLS\r\n",
                "QUIT\r\n",
            ],
        );
        let codes: Vec<_> = replies.iter().map(|line| &line[..3]).collect();
        assert_eq!(codes, ["250", "250", "250", "250", "354", "250", "500", "221"]);
        let [message] = &sink.messages()[..] else { panic!() };
        assert_eq!((message.sender.as_str(), message.octets, message.tls), ("<a@b>", 7, false));
        assert_eq!((message.server, message.client), (address, stream.local_addr().unwrap()));
        assert_eq!((message.hello.as_str(), sink.connections()), ("me", 1));
        assert_eq!(message.recipients, ["<c@d>", "<\"e>\"@f>"]);
        assert_eq!(message.content, Content::Memory(b"..x\r\n\r\n".to_vec()));
        assert_eq!(message.text(), ".x\n\n");
        assert_eq!(sink.transcript()[2], "C: EHLO me");
    });
}

#[test]
fn an_empty_message_and_several_connections_at_once() {
    crate::in_world(|_| {
        let (sink, address) = sink(2602, Options::named("mx.test"));
        let mut streams: Vec<_> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
        for stream in &mut streams {
            reply(stream);
            converse(stream, &["HELO me\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n", ".\r\n"]);
        }
        let messages = sink.wait_for_messages(4, Duration::from_secs(5));
        assert_eq!(messages.len(), 4);
        assert!(messages.iter().all(|message| message.octets == 0 && message.sender == "<>"));
    });
}

#[test]
fn large_messages_stream_into_a_digest_through_tls() {
    crate::in_world(|_| {
        let identity = Identity::self_signed(&["mx.test"]).unwrap();
        let mut options = Options::named("mx.test");
        options.acceptor = Some(identity.acceptor().unwrap());
        options.keep = Keep::Digest;
        let (sink, address) = sink(2603, options);
        let mut stream = TcpStream::connect(address).unwrap();
        reply(&mut stream);
        assert_eq!(converse(&mut stream, &["EHLO me\r\n"]), ["250 STARTTLS"]);
        converse(&mut stream, &["STARTTLS\r\n"]);

        let mut builder = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
        builder.set_verify(openssl::ssl::SslVerifyMode::NONE);
        let mut stream = builder.build().connect("mx.test", stream).unwrap();
        converse(&mut stream, &["EHLO me\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n"]);
        let line = b"All work and no play makes a dull test.\r\n";
        let block = line.repeat(1000);
        let mut digest = Sha256::new();
        for _ in 0..200 {
            stream.write_all(&block).unwrap();
            digest.update(&block);
        }
        converse(&mut stream, &[".\r\n"]);
        let [message] = &sink.messages()[..] else { panic!() };
        assert_eq!(message.digest, digest.finish());
        assert_eq!(message.content, Content::Digest);
        assert!(message.tls);
        assert!(sink.transcript().iter().any(|line| line.starts_with("-- TLS starts: TLSv1.3")));
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_no_message() {
    crate::in_world(|_| {
        let (sink, address) = sink(2604, Options::named("mx.test"));
        let mut stream = TcpStream::connect(address).unwrap();
        reply(&mut stream);
        converse(&mut stream, &["EHLO me\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n"]);
        stream.write_all(b"half\r\n.").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        BufReader::new(&mut stream).read_to_end(&mut rest).unwrap();
        assert!(rest.lines().next().is_none());
        assert!(sink.messages().is_empty());
    });
}
