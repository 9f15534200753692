//! The message as SMTP has to carry it, by the plainest loops: what the product's fast code is compared with.

/// A message as each way of sending it has it on the wire.
pub(super) struct WireForms {
    /// After DATA, the final dot line included.
    pub(super) data: Vec<u8>,
    /// As a chunk of BDAT.
    pub(super) chunk: Vec<u8>,
}

impl WireForms {
    pub(super) fn of(message: &[u8]) -> Self {
        Self { data: wire_form(message), chunk: chunk_form(message) }
    }
}

/// Line ends become CRLF, a CR alone too; a dot at the start of a line is doubled; the final dot line
/// follows. A message without a final line end gets none added: no transaction may end with it.
pub fn wire_form(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len());
    let mut at_start = true;
    for byte in chunk_form(message) {
        if byte == b'.' && at_start {
            wire.push(b'.');
        }
        wire.push(byte);
        at_start = byte == b'\n';
    }
    wire.extend(b".\r\n");
    wire
}

/// Line ends become CRLF, a CR alone too, and nothing else is changed.
pub fn chunk_form(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len());
    let mut bytes = message.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' {
                    // The LF of a CRLF belongs to it.
                    bytes.next_if_eq(&b'\n');
                }
                wire.extend(b"\r\n");
            }
            byte => wire.push(byte),
        }
    }
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
        assert_eq!(chunk_form(b".\r.\n..\r\n\r\r\n"), b".\r\n.\r\n..\r\n\r\n\r\n");
    }
}
