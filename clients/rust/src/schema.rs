// SPDX-License-Identifier: Apache-2.0

//! What a map says of its types (protocol 11).

use crate::json::Json;

/// Bounds that a schema is held to, so that a hostile one costs neither memory nor time.
pub(crate) const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 1 << 14;
const MAX_SIZE: usize = 1 << 28;
const MAX_NAME: usize = 1 << 10;

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TypeKind {
    Int,
    Uint,
    Bool,
    Char,
    Enum,
    Float,
    /// An address in the kernel, never to be followed.
    Pointer,
    Array,
    Struct,
    Union,
    /// Anything else.
    Bytes,
}

/// A C type.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Type {
    /// What it is.
    pub kind: TypeKind,
    /// Its C name, for people; may be empty.
    pub name: String,
    /// Bytes.
    pub size: usize,
    /// Of enum and char.
    pub signed: bool,
    /// Of struct and union.
    pub fields: Vec<TypeField>,
    /// Of an array.
    pub elem: Option<Box<Type>>,
    /// Elements of an array.
    pub count: usize,
    /// Constants of an enum; compare the low `size` bytes.
    pub values: Vec<(String, i64)>,
}

/// A member of a struct or union.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TypeField {
    /// Empty: an anonymous struct or union, whose fields belong to the enclosing type.
    pub name: String,
    /// Bytes from the start of the enclosing type.
    pub offset: usize,
    /// Of a bitfield: bits above the byte at `offset`.
    pub bit_offset: usize,
    /// Of a bitfield; 0: it is none.
    pub bit_size: usize,
    /// What it is.
    pub of: Type,
}

/// What the rows of a source look like. A side that is missing is raw bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Schema {
    /// The key.
    pub key: Option<Type>,
    /// The value; one CPU's, if the source is per CPU.
    pub value: Option<Type>,
}

impl Schema {
    /// Parses the text of a schema. An error says what is wrong; such rows are raw bytes.
    pub(crate) fn parse(text: &[u8]) -> Result<Schema, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("schema of {} bytes", text.len()));
        }
        let doc = Json::parse(text)?;
        if doc.get("version") != Some(&Json::Int(1)) {
            return Err("schema of another version".into());
        }
        let mut nodes = 0;
        let mut side = |name| match doc.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(t) => read_type(t, 0, &mut nodes).map(Some),
        };
        Ok(Schema { key: side("key")?, value: side("value")? })
    }
}

fn read_type(j: &Json, depth: usize, nodes: &mut usize) -> Result<Type, String> {
    if depth > MAX_DEPTH {
        return Err("types nest too deep".into());
    }
    count(nodes, 1)?;
    let mut t = Type {
        kind: kind(&text(j, "kind")?)?,
        name: text(j, "name")?,
        size: number(j, "size", MAX_SIZE)?,
        signed: j.get("signed") == Some(&Json::Bool(true)),
        fields: Vec::new(),
        elem: None,
        count: number(j, "count", MAX_SIZE)?,
        values: Vec::new(),
    };
    if !t.size_fits() {
        return Err(format!("{:?} of {} bytes", t.kind, t.size));
    }
    match t.kind {
        TypeKind::Array => {
            let elem = j.get("elem").ok_or("array of nothing")?;
            let elem = read_type(elem, depth + 1, nodes)?;
            if (t.count > 0 && elem.size == 0) || elem.size * t.count != t.size {
                return Err(format!("array of {} times {} bytes has {}", t.count, elem.size, t.size));
            }
            t.elem = Some(Box::new(elem));
        }
        TypeKind::Struct | TypeKind::Union => {
            for f in list(j, "fields")? {
                t.fields.push(read_field(f, t.size, depth, nodes)?);
            }
        }
        TypeKind::Enum => {
            for v in list(j, "values")? {
                count(nodes, 1)?;
                let value = if let Some(Json::Int(n)) = v.get("value") {
                    *n
                } else {
                    return Err("constant without value".into());
                };
                t.values.push((text(v, "name")?, value));
            }
        }
        _ => {}
    }
    Ok(t)
}

fn read_field(j: &Json, parent: usize, depth: usize, nodes: &mut usize) -> Result<TypeField, String> {
    count(nodes, 1)?;
    let of = read_type(j.get("type").ok_or("field without type")?, depth + 1, nodes)?;
    let f = TypeField {
        name: text(j, "name")?,
        offset: number(j, "offset", parent)?,
        bit_offset: number(j, "bit_offset", 7)?,
        bit_size: number(j, "bit_size", 64)?,
        of,
    };
    let integer =
        matches!(f.of.kind, TypeKind::Int | TypeKind::Uint | TypeKind::Bool | TypeKind::Char | TypeKind::Enum);
    let fits = match f.bit_size {
        0 => f.bit_offset == 0 && f.offset + f.of.size <= parent,
        bits => integer && bits <= f.of.size * 8 && f.offset * 8 + f.bit_offset + bits <= parent * 8,
    };
    if !fits {
        return Err(format!("field {:?} does not lie in its struct", f.name));
    }
    Ok(f)
}

impl Type {
    fn size_fits(&self) -> bool {
        match self.kind {
            TypeKind::Int | TypeKind::Uint => matches!(self.size, 1 | 2 | 4 | 8 | 16),
            TypeKind::Bool | TypeKind::Enum => matches!(self.size, 1 | 2 | 4 | 8),
            TypeKind::Char => self.size == 1,
            TypeKind::Float => matches!(self.size, 4 | 8),
            TypeKind::Pointer => self.size == 8,
            TypeKind::Array | TypeKind::Struct | TypeKind::Union | TypeKind::Bytes => true,
        }
    }
}

fn kind(name: &str) -> Result<TypeKind, String> {
    Ok(match name {
        "int" => TypeKind::Int,
        "uint" => TypeKind::Uint,
        "bool" => TypeKind::Bool,
        "char" => TypeKind::Char,
        "enum" => TypeKind::Enum,
        "float" => TypeKind::Float,
        "pointer" => TypeKind::Pointer,
        "array" => TypeKind::Array,
        "struct" => TypeKind::Struct,
        "union" => TypeKind::Union,
        "bytes" => TypeKind::Bytes,
        _ => return Err(format!("kind {:?}", name)),
    })
}

fn count(nodes: &mut usize, more: usize) -> Result<(), String> {
    *nodes += more;
    if *nodes > MAX_NODES {
        return Err("too many types, fields and constants".into());
    }
    Ok(())
}

fn text(j: &Json, name: &str) -> Result<String, String> {
    match j.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::Text(t)) if t.len() <= MAX_NAME => Ok(t.clone()),
        _ => Err(format!("{:?} is no short string", name)),
    }
}

fn number(j: &Json, name: &str, most: usize) -> Result<usize, String> {
    match j.get(name) {
        None => Ok(0),
        Some(&Json::Int(n)) if n >= 0 && n as u64 <= most as u64 => Ok(n as usize),
        _ => Err(format!("{:?} is no number up to {}", name, most)),
    }
}

fn list<'a>(j: &'a Json, name: &str) -> Result<&'a [Json], String> {
    match j.get(name) {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::List(items)) => Ok(items),
        _ => Err(format!("{:?} is no list", name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Schema, String> {
        Schema::parse(format!(r#"{{"version":1,"value":{}}}"#, value).as_bytes())
    }

    #[test]
    fn reads_a_schema() {
        let s = parse(
            r#"{"kind":"struct","name":"struct s","size":16,"more":[],"fields":[
                {"name":"a","offset":0,"type":{"kind":"array","size":8,"count":2,"elem":{"kind":"uint","size":4}}},
                {"name":"b","offset":8,"bit_offset":3,"bit_size":5,"type":{"kind":"uint","size":1}},
                {"name":"e","offset":12,"type":{"kind":"enum","size":4,"signed":true,"values":[{"name":"X","value":-1}]}}]}"#,
        );
        let value = s.unwrap().value.unwrap();
        assert_eq!(value.fields.len(), 3);
        assert_eq!(value.fields[2].of.values, [("X".to_string(), -1)]);
    }

    #[test]
    fn refuses_what_does_not_add_up() {
        let leaf = r#"{"kind":"uint","size":0}"#.to_string();
        let deep = (0..40)
            .fold(leaf, |t, _| format!(r#"{{"kind":"struct","size":0,"fields":[{{"offset":0,"type":{}}}]}}"#, t));
        for bad in [
            r#"{"kind":"quux","size":4}"#,
            r#"{"kind":"uint","size":3}"#,
            r#"{"kind":"bytes","size":-1}"#,
            r#"{"kind":"bytes","size":99999999999}"#,
            r#"{"kind":"array","size":4,"count":1}"#,
            r#"{"kind":"array","size":4,"count":3,"elem":{"kind":"uint","size":2}}"#,
            r#"{"kind":"array","size":0,"count":9,"elem":{"kind":"struct","size":0}}"#,
            r#"{"kind":"struct","size":4,"fields":[{"name":"a","offset":2,"type":{"kind":"uint","size":4}}]}"#,
            r#"{"kind":"struct","size":4,"fields":[{"name":"a","offset":0}]}"#,
            r#"{"kind":"struct","size":1,"fields":[{"name":"a","offset":0,"bit_offset":5,"bit_size":4,"type":{"kind":"uint","size":1}}]}"#,
            &deep,
        ] {
            assert!(parse(bad).is_err(), "{}", bad);
        }
        assert!(Schema::parse(br#"{"version":2}"#).is_err());
        assert!(Schema::parse(&vec![b' '; MAX_BYTES + 1]).is_err());
    }
}
