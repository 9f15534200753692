//! The message as SMTP has to carry it, by the plainest loop: what the product's fast code is compared with.

/// Line ends become CRLF, a CR alone too; a dot at the start of a line is doubled; the final dot line
/// follows. A message without a final line end gets none added: no transaction may end with it.
pub fn wire_form(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len());
    let mut at_start = true;
    let mut bytes = message.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' {
                    // The LF of a CRLF belongs to it.
                    bytes.next_if_eq(&b'\n');
                }
                wire.extend(b"\r\n");
                at_start = true;
            }
            byte => {
                if byte == b'.' && at_start {
                    wire.push(b'.');
                }
                wire.push(byte);
                at_start = false;
            }
        }
    }
    wire.extend(b".\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_end_of_data_is_on_the_wire() {
        for (message, wire) in [
            ("", ".\r\n"),
            ("a\n", "a\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a\rb\n", "a\r\nb\r\n.\r\n"),
            ("a\r\r\n", "a\r\n\r\n.\r\n"),
            (".\n..\na.\n", "..\r\n...\r\na.\r\n.\r\n"),
            ("a\n.\r\nb\n", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r.\rb\n", "a\r\n..\r\nb\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8_lossy(&wire_form(message.as_bytes())), wire, "{message:?}");
        }
    }
}
