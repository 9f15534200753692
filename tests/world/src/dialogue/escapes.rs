//! Bytes as text and back: `\r`, `\n`, `\t`, `\0`, `\\`, `\"`, `\xNN`; all else stands for itself in UTF-8.

/// The bytes that a piece of a dialogue file stands for.
///
/// # Errors
/// An escape that does not exist, in words.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        bytes.push(match characters.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                let whole = digits.len() == 2 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
                let value = u8::from_str_radix(&digits, 16).ok().filter(|_| whole);
                value.ok_or_else(|| format!("`\\x{digits}` is not \\x and two hexadecimal digits"))?
            }
            Some(other) => return Err(format!("no escape `\\{other}`; a backslash itself is `\\\\`")),
            None => return Err("a lone backslash at the end; a backslash itself is `\\\\`".to_owned()),
        });
    }
    Ok(bytes)
}

/// Bytes as a dialogue file would write them.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\0' => text.push_str("\\0"),
                '\\' => text.push_str("\\\\"),
                other if other.is_control() => {
                    push_hexadecimal(&mut text, other.encode_utf8(&mut [0; 4]).as_bytes());
                }
                other => text.push(other),
            }
        }
        push_hexadecimal(&mut text, chunk.invalid());
    }
    text
}

fn push_hexadecimal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str(&format!("\\x{byte:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&all)).unwrap(), all);
        assert_eq!(escape("caf\u{e9}\r\n\0\\\u{9b}".as_bytes()), "café\\r\\n\\0\\\\\\xc2\\x9b");
    }

    #[test]
    fn unknown_escapes_are_refused() {
        for text in ["\\", "\\q", "\\x", "\\x1", "\\xgg", "\\x+1"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
