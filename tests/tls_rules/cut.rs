//! A server that closes within the handshake: before each record of each of its flights, within its header, within its body,
//! by TLS 1.2 and by TLS 1.3, with records of a real OpenSSL.

use std::cmp::min;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVersion};
use world::certificates::Identity;
use world::in_world;

use crate::held::delivery;
use crate::support::*;

/// What the server said under TLS, and where its first flight ended.
#[derive(Clone, Default)]
struct Said {
    octets: Vec<u8>,
    first_flight: Option<usize>,
}

/// A connection on which no more than `left` octets are sent.
struct Cut {
    stream: TcpStream,
    left: usize,
    said: Arc<Mutex<Said>>,
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut said = self.said.lock().unwrap();
        let length = said.octets.len();
        if length > 0 {
            said.first_flight.get_or_insert(length);
        }
        drop(said);
        self.stream.read(buffer)
    }
}

impl Write for Cut {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let count = min(self.left, octets.len());
        if count == 0 {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let (sent, _) = octets.split_at(count);
        self.stream.write_all(sent)?;
        self.left -= count;
        self.said.lock().unwrap().octets.extend_from_slice(sent);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serves one connection up to the handshake, of which `limit` octets are sent, and closes it.
fn serve(listener: &TcpListener, context: &SslContext, limit: usize) -> Said {
    let (mut stream, _) = listener.accept().unwrap();
    for reply in ["220 mx1 ESMTP\r\n", "250-mx1\r\n250 STARTTLS\r\n", "220 go ahead\r\n"] {
        stream.write_all(reply.as_bytes()).unwrap();
        // Read singly: what follows STARTTLS is not the dialogue's.
        if !reply.starts_with("220 go") {
            let mut octet = [0];
            while octet != *b"\n" {
                stream.read_exact(&mut octet).unwrap();
            }
        }
    }
    let said = Arc::new(Mutex::new(Said::default()));
    let cut = Cut { stream: stream.try_clone().unwrap(), left: limit, said: said.clone() };
    let mut session = SslStream::new(Ssl::new(context).unwrap(), cut).unwrap();
    let _ = session.accept();
    stream.shutdown(Shutdown::Write).unwrap();
    // What is left unread would make a reset of it.
    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    Arc::clone(&said).lock().unwrap().clone()
}

/// Where records begin.
fn records(octets: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(&[high, low]) = octets.get(at + 3..at + 5) {
        starts.push(at);
        at += 5 + usize::from(u16::from_be_bytes([high, low]));
    }
    starts
}

fn is_put_off_wherever_it_is_cut(version: SslVersion) {
    in_world(|world| {
        let _dns = secure_dns();
        let identity = Identity::self_signed(&[EXCHANGER]).unwrap();
        let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        context.set_certificate(&identity.certificate).unwrap();
        context.set_private_key(&identity.key).unwrap();
        let context = context.build();
        let listener = TcpListener::bind("192.0.2.10:25").unwrap();
        world.control("me", "client.example.test\n");
        world.control("tlsdestinations", "example.test:\n");
        let deliver = |limit: usize| {
            std::thread::scope(|scope| {
                let server = scope.spawn(|| serve(&listener, &context, limit));
                let outcome = delivery().run();
                (outcome, server.join().unwrap())
            })
        };
        let whole = deliver(usize::MAX).1;
        // By TLS 1.3 the client is ready after the first flight.
        let end = match version {
            SslVersion::TLS1_3 => whole.first_flight.unwrap(),
            _ => whole.octets.len(),
        };
        let starts = records(whole.octets.get(..end).unwrap());
        assert!(starts.len() > 3, "{starts:?}");
        for start in starts {
            for limit in [start, start + 3, start + 6] {
                println!("{limit} of {end}");
                let (outcome, said) = deliver(limit);
                assert_eq!(said.octets.len(), limit);
                outcome.assert_reports(&[
                    "ZTLS connection/protocol error with host: mx1.example.test for example.test: the server closed the \
                     connection. (#4.4.1)\n",
                ]);
            }
        }
    });
}

#[test]
fn a_handshake_of_tls_1_2_that_is_cut_anywhere_is_none() {
    is_put_off_wherever_it_is_cut(SslVersion::TLS1_2);
}

#[test]
fn a_handshake_of_tls_1_3_that_is_cut_anywhere_is_none() {
    is_put_off_wherever_it_is_cut(SslVersion::TLS1_3);
}
