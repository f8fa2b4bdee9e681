//! The contract as lines, one a type and one a function: what a released plugin may hold the host to.

use std::collections::BTreeSet;

use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId};

/// Every type and function of every interface, in full. Types of other interfaces appear under the name they are used by.
pub fn of(resolve: &Resolve) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (id, interface) in resolve.interfaces.iter() {
        let full = resolve.id_of(id).unwrap();
        lines.extend(
            interface.types.iter().map(|(name, ty)| format!("{full} {name} = {}", definition(resolve, id, *ty))),
        );
        lines.extend(interface.functions.values().map(|function| format!("{full} {}", signature(resolve, function))));
    }
    lines
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params = function.params.iter().map(|param| format!("{}: {}", param.name, ty(resolve, param.ty)));
    let result = function.result.map(|result| format!(" -> {}", ty(resolve, result)));
    format!("{}: func({}){}", function.name, params.collect::<Vec<_>>().join(", "), result.unwrap_or_default())
}

fn definition(resolve: &Resolve, of: InterfaceId, id: TypeId) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|field| format!("{}: {}", field.name, ty(resolve, field.ty)));
            format!("record {{{}}}", list(fields.collect()))
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| match case.ty {
                Some(payload) => format!("{}({})", case.name, ty(resolve, payload)),
                None => case.name.clone(),
            });
            format!("variant {{{}}}", list(cases.collect()))
        }
        TypeDefKind::Enum(it) => format!("enum {{{}}}", list(it.cases.iter().map(|case| case.name.clone()).collect())),
        TypeDefKind::Resource => "resource".to_owned(),
        TypeDefKind::Type(Type::Id(used)) if resolve.types[*used].owner != wit_parser::TypeOwner::Interface(of) => {
            let wit_parser::TypeOwner::Interface(owner) = resolve.types[*used].owner else { panic!("no owner") };
            format!("{}.{}", resolve.id_of(owner).unwrap(), ty(resolve, Type::Id(*used)))
        }
        _ => anonymous(resolve, id),
    }
}

fn ty(resolve: &Resolve, it: Type) -> String {
    match it {
        Type::Id(id) => resolve.types[id].name.clone().unwrap_or_else(|| anonymous(resolve, id)),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn anonymous(resolve: &Resolve, id: TypeId) -> String {
    let some = |it: &Option<Type>| it.map_or("_".to_owned(), |it| ty(resolve, it));
    match &resolve.types[id].kind {
        TypeDefKind::List(item) => format!("list<{}>", ty(resolve, *item)),
        TypeDefKind::Option(item) => format!("option<{}>", ty(resolve, *item)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", some(&result.ok), some(&result.err)),
        TypeDefKind::Handle(Handle::Borrow(lent)) => format!("borrow<{}>", ty(resolve, Type::Id(*lent))),
        TypeDefKind::Handle(Handle::Own(given)) => ty(resolve, Type::Id(*given)),
        TypeDefKind::Type(same) => ty(resolve, *same),
        other => panic!("write {other:?} as a line"),
    }
}
