// SPDX-License-Identifier: Apache-2.0

//! Types of rows: what they look like as C sees them, and how one is loaded.

use crate::Place;

/// What a type looks like in a row, to be held against what the map says of it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Shape {
    /// An unsigned integer.
    Unsigned,
    /// A signed integer.
    Signed,
    /// A floating-point number.
    Float,
    /// A byte that is 0 or not.
    Bool,
    /// `count` elements of `size` bytes each.
    Array {
        /// how many
        count: usize,
        /// bytes of one
        size: usize,
        /// what one is
        shape: &'static Shape,
    },
    /// Named parts.
    Struct(&'static [Field]),
}

/// A named part of a struct.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name; one that begins with `_` is padding and may cover anything.
    pub name: &'static str,
    /// Bytes from the start of the struct.
    pub offset: usize,
    /// Bytes of the part.
    pub size: usize,
    /// What it is.
    pub shape: Shape,
}

/// A type that a key, a value or an event can be: numbers, `bool`, arrays of such types, and structs of them
/// that [`row!`](crate::row!) defines. Its values are loaded from a row one aligned number after the other, by
/// value, so that no type is ever laid over memory that may change.
pub trait Plain: Copy + 'static {
    /// Bytes in a row.
    const SIZE: usize;
    /// A power of two; 1 for packed structs.
    const ALIGN: usize;
    /// What it looks like.
    const SHAPE: Shape;

    /// Loads one from a place of `SIZE` bytes.
    fn load(place: Place<'_>) -> Self;

    /// Loads one from bytes, such as [`Batch::value`](crate::Batch::value) gives. None if they are not `SIZE`.
    ///
    /// ```
    /// use ringside::Plain;
    /// assert_eq!(<[u16; 2]>::from_bytes(&[1, 0, 2, 1]), Some([1, 0x102]));
    /// ```
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == Self::SIZE).then(|| Self::load(Place::of(bytes)))
    }

    /// Loads `N` from a place of `N * SIZE` bytes.
    #[inline(always)]
    fn load_array<const N: usize>(place: Place<'_>) -> [Self; N] {
        std::array::from_fn(|i| Self::load(place.part(i * Self::SIZE, Self::SIZE)))
    }
}

macro_rules! number {
    ($($number:ty, $load:ident, $shape:ident, |$raw:ident| $value:expr;)*) => {$(
        impl Plain for $number {
            const SIZE: usize = std::mem::size_of::<$number>();
            const ALIGN: usize = std::mem::size_of::<$number>();
            const SHAPE: Shape = Shape::$shape;

            #[inline(always)]
            fn load(place: Place<'_>) -> Self {
                let $raw = place.$load(0);
                $value
            }
        }
    )*};
}

number! {
    u16, u16, Unsigned, |raw| raw;
    u32, u32, Unsigned, |raw| raw;
    u64, u64, Unsigned, |raw| raw;
    i8, u8, Signed, |raw| raw as i8;
    i16, u16, Signed, |raw| raw as i16;
    i32, u32, Signed, |raw| raw as i32;
    i64, u64, Signed, |raw| raw as i64;
    f32, u32, Float, |raw| f32::from_bits(raw);
    f64, u64, Float, |raw| f64::from_bits(raw);
    bool, u8, Bool, |raw| raw != 0;
}

impl Plain for u8 {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;
    const SHAPE: Shape = Shape::Unsigned;

    #[inline(always)]
    fn load(place: Place<'_>) -> Self {
        place.u8(0)
    }

    #[inline(always)]
    fn load_array<const N: usize>(place: Place<'_>) -> [Self; N] {
        let mut bytes = [0; N];
        place.copy_to(&mut bytes);
        bytes
    }
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    const SIZE: usize = T::SIZE * N;
    const ALIGN: usize = T::ALIGN;
    const SHAPE: Shape = Shape::Array { count: N, size: T::SIZE, shape: &T::SHAPE };

    #[inline(always)]
    fn load(place: Place<'_>) -> Self {
        T::load_array(place)
    }
}

/// `N` bytes that are skipped: a field of this type covers what a program does not want, whatever it is, and is not
/// loaded. Its name begins with `_`.
///
/// ```
/// ringside::row! {
///     /// Of a hundred counters, the third.
///     struct Third { _before: ringside::Pad<16>, third: u64, _behind: ringside::Pad<776> }
/// }
/// use ringside::Plain;
/// assert_eq!((Third::SIZE, std::mem::size_of::<Third>()), (800, 8));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Pad<const N: usize>;

impl<const N: usize> Plain for Pad<N> {
    const SIZE: usize = N;
    const ALIGN: usize = 1;
    const SHAPE: Shape = Shape::Array { count: N, size: 1, shape: &Shape::Unsigned };

    #[inline(always)]
    fn load(_: Place<'_>) -> Self {
        Pad
    }
}

/// What a map without a value, or an event without a record type, has.
impl Plain for () {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;
    const SHAPE: Shape = Shape::Struct(&[]);

    fn load(_: Place<'_>) -> Self {}
}

#[doc(hidden)]
pub const fn round_up(offset: usize, align: usize) -> usize {
    (offset + align - 1) / align * align
}

/// Defines structs as C lays them out, to read keys and values as.
///
/// Each field lies where C puts a field of its type, and is loaded from there; the struct itself is an ordinary
/// one of Rust, `Clone`, `Copy`, `Debug` and `PartialEq`. Ask for more by `#[derive]`: keys of a
/// [`Table`](crate::Table) are `Eq` and `Hash`. A struct that C packs is a `packed struct`. Fields whose names
/// begin with `_` are padding, of bytes or of a [`Pad`](crate::Pad). Fields may be arrays and other structs of `row!`.
///
/// ```
/// ringside::row! {
///     /// struct flow_key { __be32 src; __be32 dst; };
///     #[derive(Eq, Hash)]
///     pub struct FlowKey {
///         pub src: [u8; 4],
///         pub dst: [u8; 4],
///     }
///
///     /// struct flow { __u16 proto; __u64 bytes; } __attribute__((packed));
///     pub packed struct Flow {
///         pub proto: u16,
///         pub bytes: u64,
///     }
/// }
/// use ringside::Plain;
/// assert_eq!(FlowKey::SIZE, 8);
/// assert_eq!(Flow::SIZE, 10);
/// ```
#[macro_export]
macro_rules! row {
    () => {};
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $type:ty),* $(,)? } $($more:tt)*) => {
        $crate::row!(@define usize::MAX, $(#[$meta])* $vis $name { $($(#[$fmeta])* $fvis $field: $type),* });
        $crate::row!($($more)*);
    };
    ($(#[$meta:meta])* $vis:vis packed struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $type:ty),* $(,)? } $($more:tt)*) => {
        $crate::row!(@define 1, $(#[$meta])* $vis $name { $($(#[$fmeta])* $fvis $field: $type),* });
        $crate::row!($($more)*);
    };
    (@define $most:expr, $(#[$meta:meta])* $vis:vis $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $type:ty),* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        $vis struct $name {
            $($(#[$fmeta])* $fvis $field: $type,)*
        }

        const _: () = {
            // Where each field lies, and where the last one ends.
            #[allow(dead_code)]
            struct __Offsets { $($field: usize,)* end_of_fields: usize }

            const fn at_most(align: usize, most: usize) -> usize {
                if align < most { align } else { most }
            }

            const __ALIGN: usize = {
                let most: usize = 1;
                $(let most = {
                    let align = at_most(<$type as $crate::Plain>::ALIGN, $most);
                    if align > most { align } else { most }
                };)*
                most
            };

            const __OFFSETS: __Offsets = {
                let end: usize = 0;
                $(
                    let $field = $crate::round_up(end, at_most(<$type as $crate::Plain>::ALIGN, $most));
                    let end = $field + <$type as $crate::Plain>::SIZE;
                )*
                __Offsets { $($field,)* end_of_fields: end }
            };

            impl $crate::Plain for $name {
                const SIZE: usize = $crate::round_up(__OFFSETS.end_of_fields, __ALIGN);
                const ALIGN: usize = __ALIGN;
                const SHAPE: $crate::Shape = $crate::Shape::Struct(&[$($crate::Field {
                    name: stringify!($field),
                    offset: __OFFSETS.$field,
                    size: <$type as $crate::Plain>::SIZE,
                    shape: <$type as $crate::Plain>::SHAPE,
                },)*]);

                #[inline(always)]
                fn load(place: $crate::Place<'_>) -> Self {
                    $name {
                        $($field: <$type as $crate::Plain>::load(place.part(__OFFSETS.$field, <$type as $crate::Plain>::SIZE)),)*
                    }
                }
            }
        };
    };
}
