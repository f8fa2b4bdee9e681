//! From the embedded WIT text to the tables of the contract.

use wit_parser::{Handle, InterfaceId, Resolve, SourceMap, Type, TypeDefKind, TypeId};

use super::shape::{Field, Int, Place, Shape, snake};
use super::{Contract, Function, Hook, HookParam, Interface, Kind, Param, STORE};
use crate::order_data;

/// The texts of one package: file name and contents.
type Sources = &'static [(&'static str, &'static str)];

pub(super) const HOST_SOURCES: Sources = &[
    ("host/errors.wit", include_str!("../../../../wit/host/errors.wit")),
    ("host/events.wit", include_str!("../../../../wit/host/events.wit")),
    ("host/services.wit", include_str!("../../../../wit/host/services.wit")),
];

pub(super) const STORE_SOURCES: Sources = &[
    ("store/hooks.wit", include_str!("../../../../wit/store/hooks.wit")),
    ("store/operations.wit", include_str!("../../../../wit/store/operations.wit")),
    ("store/orders.wit", include_str!("../../../../wit/store/orders.wit")),
    ("store/world.wit", include_str!("../../../../wit/store/world.wit")),
];

/// Parses the packages and sorts their interfaces.
pub(super) fn read() -> Result<Contract, String> {
    let mut resolve = Resolve::new();
    for sources in [HOST_SOURCES, STORE_SOURCES] {
        let mut map = SourceMap::new();
        for (name, text) in sources {
            map.push_str(name, *text);
        }
        let group = map.parse().map_err(|(map, error)| error.render(&map))?;
        resolve.push_group(group).map_err(|error| format!("{error:#}"))?;
    }
    let mut imports = std::collections::BTreeMap::new();
    let mut hooks = Vec::new();
    for (id, interface) in resolve.interfaces.iter() {
        let (Some(name), Some(full)) = (interface.name.clone(), resolve.id_of(id)) else {
            return Err("an interface of the contract has no name".into());
        };
        if name.starts_with("on-") {
            hooks.push(hook(&resolve, id, name, full)?);
        } else {
            let interface = import(&resolve, id, name, &full)?;
            imports.insert(full, interface);
        }
    }
    Ok(Contract { resolve, imports, hooks })
}

fn hook(resolve: &Resolve, id: InterfaceId, name: String, full: String) -> Result<Hook, String> {
    let handle = resolve.interfaces[id].functions.get("handle").ok_or_else(|| format!("{full} has no `handle`"))?;
    let mut params = Vec::new();
    for param in &handle.params {
        params.push(match resource(resolve, param.ty).as_deref() {
            Some("event") => HookParam::Event,
            Some("order") => HookParam::Order,
            Some(other) => return Err(format!("{full}: a hook is given no `{other}`")),
            None => HookParam::Detail(Reader { resolve, interface: &name }.shape(param.ty)?),
        });
    }
    Ok(Hook { name, full, params })
}

fn import(resolve: &Resolve, id: InterfaceId, name: String, full: &str) -> Result<Interface, String> {
    let from_store =
        resolve.interfaces[id].package.is_some_and(|package| resolve.packages[package].name.to_string() == STORE);
    let kind = match name.as_str() {
        "kv" if !from_store => Kind::Kv,
        "http" if !from_store => Kind::Http,
        _ if !from_store => Kind::Free,
        "orders" => Kind::Orders,
        _ if takes_order(resolve, id) => Kind::OrderData,
        _ => Kind::Operations,
    };
    let mut functions = Vec::new();
    for function in resolve.interfaces[id].functions.values() {
        // The hand-written interfaces are typed in Rust; their functions are listed by name alone.
        let (mut params, mut ok, mut fallible) = (Vec::new(), None, false);
        if matches!(kind, Kind::OrderData | Kind::Operations) {
            let reader = Reader { resolve, interface: &name };
            for param in &function.params {
                params.push(Param { json: snake(&param.name), shape: reader.shape(param.ty)? });
            }
            (ok, fallible) =
                reader.result(function.result).map_err(|error| format!("{full}#{}: {error}", function.name))?;
        }
        functions.push(Function { name: function.name.clone(), params, ok, fallible });
    }
    Ok(Interface { name, kind, functions })
}

fn takes_order(resolve: &Resolve, id: InterfaceId) -> bool {
    let mut functions = resolve.interfaces[id].functions.values();
    functions.any(|f| f.params.iter().any(|param| resource(resolve, param.ty).as_deref() == Some("order")))
}

/// The name of the resource behind a handle, lent or given.
fn resource(resolve: &Resolve, ty: Type) -> Option<String> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types[id].kind {
        TypeDefKind::Handle(Handle::Borrow(named) | Handle::Own(named)) => resolve.types[*named].name.clone(),
        TypeDefKind::Type(inner) => resource(resolve, *inner),
        _ => None,
    }
}

struct Reader<'a> {
    resolve: &'a Resolve,
    interface: &'a str,
}

impl Reader<'_> {
    /// The ok shape and whether the function can fail.
    fn result(&self, result: Option<Type>) -> Result<(Option<Shape>, bool), String> {
        let Some(ty) = result else { return Ok((None, false)) };
        if let Type::Id(id) = ty
            && let TypeDefKind::Result(inner) = &self.resolve.types[id].kind
        {
            let error = inner.err.and_then(|err| self.name_of(err));
            if error.as_deref() != Some("error") {
                return Err("a function can fail with `error` only".into());
            }
            return Ok((inner.ok.map(|ok| self.shape(ok)).transpose()?, true));
        }
        Ok((Some(self.shape(ty)?), false))
    }

    fn name_of(&self, ty: Type) -> Option<String> {
        match ty {
            Type::Id(id) => self.resolve.types[id].name.clone(),
            _ => None,
        }
    }

    fn shape(&self, ty: Type) -> Result<Shape, String> {
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::Int(Int::S8),
            Type::U8 => Shape::Int(Int::U8),
            Type::S16 => Shape::Int(Int::S16),
            Type::U16 => Shape::Int(Int::U16),
            Type::S32 => Shape::Int(Int::S32),
            Type::U32 => Shape::Int(Int::U32),
            Type::S64 => Shape::Int(Int::S64),
            Type::U64 => Shape::Int(Int::U64),
            Type::F32 => Shape::F32,
            Type::F64 => Shape::F64,
            Type::Char => Shape::Char,
            Type::String => Shape::Text,
            Type::ErrorContext => return Err("error-context is not used by the contract".into()),
            Type::Id(id) => self.defined(id)?,
        })
    }

    fn defined(&self, id: TypeId) -> Result<Shape, String> {
        let def = &self.resolve.types[id];
        Ok(match &def.kind {
            TypeDefKind::Type(inner) => self.shape(*inner)?,
            TypeDefKind::List(Type::U8) => Shape::Bytes,
            TypeDefKind::List(inner) => Shape::List(Box::new(self.shape(*inner)?)),
            TypeDefKind::Option(inner) => Shape::Option(Box::new(self.shape(*inner)?)),
            TypeDefKind::Enum(cases) => Shape::Enum(cases.cases.iter().map(|case| case.name.clone()).collect()),
            TypeDefKind::Handle(Handle::Borrow(resource) | Handle::Own(resource))
                if self.resolve.types[*resource].name.as_deref() == Some("order") =>
            {
                Shape::Order
            }
            TypeDefKind::Record(record) => {
                let record_name = def.name.as_deref().unwrap_or_default();
                let mut fields = Vec::new();
                for field in &record.fields {
                    fields.push(Field {
                        wit: field.name.clone(),
                        json: snake(&field.name),
                        shape: self.shape(field.ty)?,
                        places: self.places(record_name, &field.name),
                    });
                }
                Shape::Record(fields.into())
            }
            other => return Err(format!("a {} does not cross as JSON", other.as_str())),
        })
    }

    fn places(&self, record: &str, field: &str) -> Box<[Place]> {
        match order_data::places(self.interface, record, field) {
            Some(places) => places.iter().map(|place| Place::parse(place)).collect(),
            None => Box::new([Place { outer: false, path: Box::new([snake(field)]) }]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_reads_and_every_kind_is_there() {
        let contract = read().unwrap();
        let kind = |full: &str| contract.imports[full].kind;
        assert_eq!(kind("fangshi:store/notes@0.1.0"), Kind::Operations);
        assert_eq!(kind("fangshi:store/order-summary@0.1.0"), Kind::OrderData);
        assert_eq!(kind("fangshi:store/orders@0.1.0"), Kind::Orders);
        assert_eq!(kind("fangshi:host/http@0.1.0"), Kind::Http);
        assert_eq!(kind("fangshi:host/kv@0.1.0"), Kind::Kv);
        assert_eq!(kind("fangshi:host/settings@0.1.0"), Kind::Free);
        assert!(contract.hooks.len() >= 9);
        let settle = contract.hook("on-settle").unwrap();
        assert!(matches!(settle.params[..], [HookParam::Event, HookParam::Order, HookParam::Detail(_)]));
    }

    #[test]
    fn every_file_of_the_contract_is_embedded() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
        for (folder, sources) in [("host", HOST_SOURCES), ("store", STORE_SOURCES)] {
            let mut on_disk: Vec<String> = std::fs::read_dir(format!("{root}/{folder}"))
                .unwrap()
                .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy()))
                .filter(|name| name.ends_with(".wit"))
                .collect();
            on_disk.sort();
            let embedded: Vec<String> = sources.iter().map(|(name, _)| name.to_string()).collect();
            assert_eq!(on_disk, embedded, "list every file of wit/{folder} in contract/read.rs");
        }
    }

    #[test]
    fn every_order_data_function_has_a_row_and_every_row_a_function() {
        let contract = read().unwrap();
        let mut functions: Vec<(String, String)> = Vec::new();
        for interface in contract.imports.values().filter(|interface| interface.kind == Kind::OrderData) {
            for function in &interface.functions {
                assert!(!function.fallible, "{}: order data is infallible", function.name);
                functions.push((interface.name.clone(), function.name.clone()));
            }
        }
        let mut rows: Vec<(String, String)> =
            order_data::ROWS.iter().map(|row| (row.interface.to_owned(), row.function.to_owned())).collect();
        functions.sort();
        rows.sort();
        assert_eq!(functions, rows);
    }

    #[test]
    fn every_place_is_of_a_member_that_the_contract_has() {
        let contract = read().unwrap();
        for row in order_data::PLACES {
            let full = format!("fangshi:store/{}@0.1.0", row.interface);
            let interface =
                contract.resolve.interfaces.iter().find(|(id, _)| contract.resolve.id_of(*id) == Some(full.clone()));
            let record = interface.and_then(|(_, interface)| interface.types.get(row.record));
            let known = record.is_some_and(|id| match &contract.resolve.types[*id].kind {
                TypeDefKind::Record(record) => record.fields.iter().any(|field| field.name == row.field),
                _ => false,
            });
            assert!(known, "{}/{}.{}", row.interface, row.record, row.field);
        }
    }
}
