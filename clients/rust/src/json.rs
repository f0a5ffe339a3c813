// SPDX-License-Identifier: Apache-2.0

//! As much of JSON as a schema needs, from a writer that is not trusted: text, depth and so the memory that it
//! takes are bounded.

/// A value. Numbers that are no 64-bit integers are `Null`: no schema has any that mean something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// A schema of 32 levels has some 100 of JSON.
const MAX_DEPTH: usize = 128;

impl Json {
    /// Parses a whole text. The error says at which byte it is wrong.
    pub fn parse(text: &[u8]) -> Result<Json, String> {
        let mut p = Parser { text, at: 0 };
        let value = p.value(0)?;
        match p.peek() {
            None => Ok(value),
            Some(_) => p.fail("something follows the end"),
        }
    }

    /// A member of an object; of several with the name, the last.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().rev().find(|m| m.0 == name).map(|m| &m.1),
            _ => None,
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("byte {}: {}", self.at, what))
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) {
            return Ok(());
        }
        self.fail(&format!("expected {:?}", byte as char))
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > MAX_DEPTH {
            return self.fail("nested too deep");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => self.fail("no value"),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, String> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return self.fail("no value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut members = Vec::new();
        self.expect(b'{')?;
        while !self.take(b'}') {
            if !members.is_empty() {
                self.expect(b',')?;
            }
            self.peek();
            let name = self.string()?;
            self.expect(b':')?;
            members.push((name, self.value(depth + 1)?));
        }
        Ok(Json::Object(members))
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        let mut items = Vec::new();
        self.expect(b'[')?;
        while !self.take(b']') {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            items.push(self.value(depth + 1)?);
        }
        Ok(Json::List(items))
    }

    fn number(&mut self) -> Result<Json, String> {
        let from = self.at;
        while matches!(self.text.get(self.at), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = String::from_utf8_lossy(&self.text[from..self.at]);
        Ok(text.parse().map_or(Json::Null, Json::Int))
    }

    fn string(&mut self) -> Result<String, String> {
        if self.text.get(self.at) != Some(&b'"') {
            return self.fail("expected a string");
        }
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = self.text.get(self.at).copied();
            self.at += 1;
            match byte {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut out)?,
                Some(byte) if byte >= 0x20 => out.push(byte),
                _ => return self.fail("a string does not end"),
            }
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        out.push(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let c = self.unicode()?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.fail("no such escape"),
        });
        Ok(())
    }

    /// A character by number, a pair of surrogates included; half of one is a replacement character.
    fn unicode(&mut self) -> Result<char, String> {
        let first = self.hex4()?;
        let mut code = u32::from(first);
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x10000 + ((code - 0xd800) << 10) + (u32::from(second) - 0xdc00);
            } else {
                self.at = back;
            }
        }
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u16, String> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).map(|d| u16::from_str_radix(d, 16)) {
            Some(Ok(number)) => {
                self.at += 4;
                Ok(number)
            }
            _ => self.fail("expected four hexadecimal digits"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_json_is() {
        let text =
            r#" {"a":[1,-2,true,false,null,1.5,1e3],"b":{"c":"x\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00"},"a":{}} "#;
        let v = Json::parse(text.as_bytes()).unwrap();
        assert_eq!(v.get("b").unwrap().get("c"), Some(&Json::Text("x\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{1f600}".into())));
        assert_eq!(v.get("a"), Some(&Json::Object(vec![])), "the last of a name counts");
        assert_eq!(v.get("z"), None);
        assert_eq!(
            Json::parse(b"[9223372036854775807,9223372036854775808]"),
            Ok(Json::List(vec![Json::Int(i64::MAX), Json::Null]))
        );
    }

    #[test]
    fn refuses_what_it_is_not() {
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "{",
            "[1",
            "[1 2]",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "tru",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "1 2",
            "\"\n\"",
            &deep,
        ] {
            assert!(Json::parse(bad.as_bytes()).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
    }
}
