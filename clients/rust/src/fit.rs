// SPDX-License-Identifier: Apache-2.0

//! Holds a Rust type against what a map says of its own.
//!
//! A type fits if every field of it agrees with something that C has at the same place, with the same size and
//! kind. Names decide nothing, with one exception: a field that is called like a C field must not lie on another
//! one, or two counters that were swapped would go unnoticed.
//!
//! - A field whose name begins with `_` is padding: it may cover anything.
//! - An array of bytes is raw: it fits anything of its size.
//! - Enums, booleans and kernel pointers may be integers of their size.
//! - A union is any of its members, or raw bytes.
//! - Bitfields are covered by an unsigned integer, or by bytes.
//! - C's nesting need not be repeated. What C has and Rust does not name is not read.

use crate::error::LayoutError;
use crate::row::{Field, Shape};
use crate::schema::{Type, TypeField, TypeKind};

pub(crate) struct Fit<'a> {
    /// Name of the source, for the error.
    pub source: &'a str,
    /// "key" or "value".
    pub side: &'static str,
}

/// A part of the Rust type, somewhere in the whole.
#[derive(Clone)]
struct Part {
    path: String,
    offset: usize,
    size: usize,
    shape: Shape,
}

/// A part of the C type.
#[derive(Clone)]
struct Spot<'a> {
    path: String,
    offset: usize,
    /// Bytes that hold it.
    size: usize,
    bits: bool,
    of: &'a Type,
}

impl Part {
    fn end(&self) -> usize {
        self.offset + self.size
    }

    fn raw(&self) -> bool {
        matches!(self.shape, Shape::Array { size: 1, shape: Shape::Unsigned, .. }) || self.size == 0
    }

    fn field(&self, f: &Field) -> Part {
        Part { path: format!("{}.{}", self.path, f.name), offset: self.offset + f.offset, size: f.size, shape: f.shape }
    }
}

impl<'a> Spot<'a> {
    fn end(&self) -> usize {
        self.offset + self.size
    }

    fn describe(&self) -> String {
        if self.of.name.is_empty() {
            format!("{} ({:?})", self.path, self.of.kind).to_lowercase()
        } else {
            format!("{} ({})", self.path, self.of.name)
        }
    }

    /// A member. An anonymous one adds nothing to the path, as in C.
    fn member(&self, f: &'a TypeField) -> Spot<'a> {
        let path = if f.name.is_empty() { self.path.clone() } else { format!("{}.{}", self.path, f.name) };
        let size = if f.bit_size > 0 { (f.bit_offset + f.bit_size + 7) / 8 } else { f.of.size };
        Spot { path, offset: self.offset + f.offset, size, bits: f.bit_size > 0, of: &f.of }
    }

    /// The named members, those of anonymous members included.
    fn members(&self) -> Vec<Spot<'a>> {
        let mut all = Vec::new();
        for f in &self.of.fields {
            let member = self.member(f);
            if f.name.is_empty() && !f.of.fields.is_empty() {
                all.extend(member.members());
            } else {
                all.push(member);
            }
        }
        all
    }

    /// The member of that name.
    fn namesake(&self, name: &str) -> Option<Spot<'a>> {
        let path = format!("{}.{}", self.path, name);
        self.members().into_iter().find(|m| m.path == path)
    }

    /// The smallest part that holds all of `part`. It stops at a union, whose members are a matter of choice.
    fn narrow(self, part: &Part) -> Spot<'a> {
        let inner = match self.of.kind {
            TypeKind::Struct => {
                let mut members = self.of.fields.iter().map(|f| self.member(f));
                members.find(|m| !m.bits && m.offset <= part.offset && part.end() <= m.end())
            }
            TypeKind::Array => self.element(part),
            _ => None,
        };
        match inner {
            Some(inner) => inner.narrow(part),
            None => self,
        }
    }

    fn element(&self, part: &Part) -> Option<Spot<'a>> {
        let elem = self.of.elem.as_deref().filter(|e| e.size > 0)?;
        let i = (part.offset - self.offset) / elem.size;
        let spot = Spot {
            path: format!("{}[{}]", self.path, i),
            offset: self.offset + i * elem.size,
            size: elem.size,
            bits: false,
            of: elem,
        };
        (part.end() <= spot.end()).then_some(spot)
    }

    fn overlaps(&self, part: &Part) -> bool {
        self.offset < part.end() && part.offset < self.end()
    }
}

impl Fit<'_> {
    /// Holds a type against `size` bytes, of which the map may say what they are.
    pub fn check(&self, shape: Shape, rust_size: usize, of: Option<&Type>, size: usize) -> Result<(), LayoutError> {
        let part = Part { path: self.side.into(), offset: 0, size: rust_size, shape };
        if let Some(of) = of {
            self.cover(&part, Spot { path: self.side.into(), offset: 0, size: of.size, bits: false, of })?;
        }
        if rust_size == size {
            return Ok(());
        }
        let reason = match of {
            None => "the map carries no type information, so only sizes were compared",
            Some(_) if rust_size < size => "append padding, as `_pad: [u8; N]`",
            Some(_) => "remove what C does not have, or write `packed struct` if C packs it",
        };
        let c = of.map_or(self.side, |t| t.name.as_str());
        Err(self.error(&part, c.into(), format!("Rust has {} bytes, the map has {}: {}", rust_size, size, reason)))
    }

    fn cover(&self, part: &Part, spot: Spot<'_>) -> Result<(), LayoutError> {
        let inside = spot.offset <= part.offset && part.end() <= spot.end();
        if inside && part.raw() {
            return Ok(());
        }
        let is_struct = matches!(part.shape, Shape::Struct(_));
        if !inside && !is_struct {
            return Err(self.no_place(part, &spot));
        }
        let spot = if inside { spot.narrow(part) } else { spot };
        if spot.of.kind == TypeKind::Bytes {
            return Ok(()); // C does not say what it is
        }
        match part.shape {
            Shape::Struct(fields) => self.cover_struct(part, fields, &spot),
            _ if spot.of.kind == TypeKind::Union => self.cover_union(part, &spot),
            Shape::Array { count, size, shape } => self.cover_array(part, count, size, *shape, &spot),
            _ => self.cover_number(part, &spot),
        }
    }

    fn cover_struct(&self, part: &Part, fields: &[Field], spot: &Spot<'_>) -> Result<(), LayoutError> {
        for f in fields.iter().filter(|f| !f.name.starts_with('_')) {
            let field = part.field(f);
            self.cover(&field, spot.clone())?;
            if let Some(other) = spot.namesake(f.name).filter(|o| !o.overlaps(&field)) {
                let reason = format!(
                    "C has the field of this name at offset {}: follow C's order, or choose another name",
                    other.offset
                );
                return Err(self.error(&field, other.describe(), reason));
            }
        }
        Ok(())
    }

    /// Content with any member. If none fits, the first that has the size tells why.
    fn cover_union(&self, part: &Part, spot: &Spot<'_>) -> Result<(), LayoutError> {
        let mut why = None;
        for member in spot.members() {
            if part.offset < member.offset || part.end() > member.end() {
                continue;
            }
            match self.cover(part, member) {
                Ok(()) => return Ok(()),
                Err(e) => why = why.or(Some(e)),
            }
        }
        Err(why.unwrap_or_else(|| self.no_place(part, spot)))
    }

    /// Compares one element where C has the same array, else each, of which there are at most as many as bytes.
    fn cover_array(
        &self,
        part: &Part,
        count: usize,
        size: usize,
        shape: Shape,
        spot: &Spot<'_>,
    ) -> Result<(), LayoutError> {
        let same = spot.of.kind == TypeKind::Array
            && spot.offset == part.offset
            && spot.of.count == count
            && spot.of.size == part.size;
        for i in 0..if same { count.min(1) } else { count } {
            let path = format!("{}[{}]", part.path, i);
            self.cover(&Part { path, offset: part.offset + i * size, size, shape }, spot.clone())?;
        }
        Ok(())
    }

    fn cover_number(&self, part: &Part, spot: &Spot<'_>) -> Result<(), LayoutError> {
        let scalar = !matches!(spot.of.kind, TypeKind::Array | TypeKind::Struct | TypeKind::Union);
        if scalar && spot.offset == part.offset && spot.of.size == part.size && !spot.bits {
            return if agrees(part.shape, spot.of) { Ok(()) } else { Err(self.kinds_differ(part, spot)) };
        }
        if matches!(part.shape, Shape::Unsigned) && only_bits(part, spot) {
            return Ok(());
        }
        Err(self.no_place(part, spot))
    }

    fn kinds_differ(&self, part: &Part, spot: &Spot<'_>) -> LayoutError {
        let reason = match (part.size == spot.of.size, spot.of.kind) {
            (false, _) => format!("Rust has {} bytes, C has {}", part.size, spot.of.size),
            (true, TypeKind::Uint | TypeKind::Pointer) => format!("C is unsigned: use u{}", spot.of.size * 8),
            (true, TypeKind::Int | TypeKind::Enum) => format!("C is signed: use i{}", spot.of.size * 8),
            (true, TypeKind::Float) => format!("C is a floating-point number: use f{}", spot.of.size * 8),
            (true, kind) => format!("C has a {:?}", kind).to_lowercase(),
        };
        self.error(part, spot.describe(), reason)
    }

    /// At these bytes C has no single thing of that size.
    fn no_place(&self, part: &Part, spot: &Spot<'_>) -> LayoutError {
        let name = part.path.rsplit('.').next().unwrap_or("");
        let other = spot.namesake(name).or_else(|| spot.members().into_iter().find(|m| m.overlaps(part)));
        match other {
            Some(m) if m.bits => self.error(
                part,
                m.describe(),
                "C has bitfields there: cover all of them by one unsigned integer or by bytes".into(),
            ),
            Some(m) if m.offset != part.offset => {
                let reason = format!("C has it at offset {}: pad, or write `packed struct` if C packs it", m.offset);
                self.error(part, m.describe(), reason)
            }
            Some(m) => self.kinds_differ(part, &m),
            None if part.end() > spot.end() => self.error(
                part,
                spot.describe(),
                format!("the field ends at byte {}, C ends at {}", part.end(), spot.end()),
            ),
            None if spot.of.fields.is_empty() => self.kinds_differ(part, spot),
            None => self.error(part, spot.describe(), "C has only padding there: begin the field's name with _".into()),
        }
    }

    fn error(&self, part: &Part, c: String, reason: String) -> LayoutError {
        LayoutError { source: self.source.into(), field: part.path.clone(), offset: part.offset, c, reason }
    }
}

/// Whether there are bitfields in `part`, all of each, and nothing else.
fn only_bits(part: &Part, spot: &Spot<'_>) -> bool {
    let touched: Vec<_> = spot.members().into_iter().filter(|m| m.overlaps(part)).collect();
    !touched.is_empty() && touched.iter().all(|m| m.bits && m.offset >= part.offset && m.end() <= part.end())
}

/// Compares meanings; sizes are already equal.
fn agrees(shape: Shape, t: &Type) -> bool {
    let (signed, unsigned) = (matches!(shape, Shape::Signed), matches!(shape, Shape::Unsigned));
    match t.kind {
        TypeKind::Int => signed,
        TypeKind::Uint | TypeKind::Pointer => unsigned,
        TypeKind::Char => signed || unsigned, // C leaves the sign of char to the machine
        TypeKind::Bool => unsigned || matches!(shape, Shape::Bool),
        TypeKind::Enum => signed || unsigned && !t.signed,
        TypeKind::Float => matches!(shape, Shape::Float),
        _ => false,
    }
}
