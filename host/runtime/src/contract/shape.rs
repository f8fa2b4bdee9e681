//! Types of the contract, in the few forms that cross as JSON.

/// A type of the contract.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Bool,
    Int(Int),
    F32,
    F64,
    Char,
    Text,
    /// `list<u8>`: an array of numbers in JSON.
    Bytes,
    List(Box<Shape>),
    Option(Box<Shape>),
    Record(Box<[Field]>),
    Enum(Box<[String]>),
    /// `borrow<order>` or `own<order>`.
    Order,
}

/// Width and sign of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Int {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

/// One member of a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// Its name in the WIT: `order-scene`.
    pub wit: String,
    /// Its name in JSON: `order_scene`.
    pub json: String,
    pub shape: Shape,
    /// Where its value is looked for, first place first. By default the member of its own name.
    pub places: Box<[Place]>,
}

/// A way through JSON objects to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Start at the element of the list that holds this object, instead of the object itself.
    pub outer: bool,
    pub path: Box<[String]>,
}

impl Place {
    /// Reads `order_detail.ext_info.order_scene`; a leading `^` means the outer object.
    pub fn parse(text: &str) -> Place {
        let (outer, path) = match text.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        Place { outer, path: path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect() }
    }
}

/// A WIT name as it is in JSON.
pub(crate) fn snake(wit: &str) -> String {
    wit.replace('-', "_")
}
