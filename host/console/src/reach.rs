//! How far each role reaches. Whatever is not in this table is the operator's alone, so a route that is forgotten here
//! is closed to merchants and not open.

use axum::http::Method;
use fangshi_tenants::TenantId;

use crate::caller::{Caller, operators_alone};
use crate::refusal::Refusal;

/// Who reaches an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Operators.
    Operators,
    /// Operators, and the merchant whose tenant the address names.
    OwnTenant,
    /// Whoever has a token; the handler narrows what a merchant sees.
    Everybody,
}

/// The routes that merchants reach, as the router spells them below `/api/v1`.
const OPEN_TO_MERCHANTS: &[(&str, &str, Reach)] = &[
    ("GET", "/openapi.json", Reach::Everybody),
    ("GET", "/audit", Reach::Everybody),
    ("GET", "/tenants/{tenant}", Reach::OwnTenant),
    ("POST", "/tenants/{tenant}/plugins", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/plugins", Reach::OwnTenant),
    ("POST", "/tenants/{tenant}/installations", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/installations", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/installations/{installation}", Reach::OwnTenant),
    ("PATCH", "/tenants/{tenant}/installations/{installation}", Reach::OwnTenant),
    ("DELETE", "/tenants/{tenant}/installations/{installation}", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/events", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/reconciliation", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/runs", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/runs/{run}", Reach::OwnTenant),
    ("GET", "/tenants/{tenant}/platform", Reach::OwnTenant),
];

/// The reach of a route; `route` as the router matched it, with or without the prefix.
pub(crate) fn of(method: &Method, route: &str) -> Reach {
    let route = route.strip_prefix(crate::ADMIN).unwrap_or(route);
    // The router answers HEAD with the handler of GET.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let entry = OPEN_TO_MERCHANTS.iter().find(|(of, path, _)| *of == method && *path == route);
    entry.map_or(Reach::Operators, |(_, _, reach)| *reach)
}

/// Whether the caller may go on. `named` is the tenant in the address, if it names one.
pub(crate) fn check(caller: Caller, reach: Reach, named: Option<TenantId>) -> Result<(), Refusal> {
    let Some(own) = caller.bound_to() else { return Ok(()) };
    match (reach, named) {
        // Another's tenant is like one that does not exist, whatever is asked about it.
        (_, Some(tenant)) if tenant != own => Err(crate::tenants::unknown(tenant)),
        (Reach::Everybody | Reach::OwnTenant, _) => Ok(()),
        (Reach::Operators, _) => Err(operators_alone("this is")),
    }
}

#[cfg(test)]
mod tests {
    use fangshi_tenants::TokenId;

    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_closed_to_merchants() {
        assert_eq!(of(&Method::GET, "/api/v1/tenants/{tenant}"), Reach::OwnTenant);
        assert_eq!(of(&Method::HEAD, "/tenants/{tenant}"), Reach::OwnTenant);
        for (method, route) in [
            (Method::PATCH, "/tenants/{tenant}"),
            (Method::GET, "/tenants"),
            (Method::GET, "/something/new"),
            (Method::GET, ""),
        ] {
            assert_eq!(of(&method, route), Reach::Operators, "{method} {route}");
        }
        let merchant = Caller::Merchant(TokenId(1), TenantId(1));
        assert!(check(merchant, Reach::OwnTenant, Some(TenantId(1))).is_ok());
        assert_eq!(check(merchant, Reach::OwnTenant, Some(TenantId(2))).unwrap_err().code(), "no-such-tenant");
        assert_eq!(check(merchant, Reach::Operators, Some(TenantId(2))).unwrap_err().code(), "no-such-tenant");
        assert_eq!(check(merchant, Reach::Operators, Some(TenantId(1))).unwrap_err().code(), "operators-alone");
        assert!(check(Caller::Root, Reach::Operators, Some(TenantId(2))).is_ok());
    }
}
