//! The OpenAPI document, made from the handlers: a route that is not in it can't exist, since both come from `routes!`.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContactBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
    Schema,
};
use utoipa::{PartialSchema, ToSchema};

use crate::refusal::RefusalBody;

/// Name of the bearer token in the document.
const SCHEME: &str = "operator";

/// The document's frame, before the handlers add theirs.
pub(crate) fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Fangshi")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Admin API of a Fangshi host. Every address under /api/v1 needs a bearer token: the operator's \
             of the host's config, or one made at /api/v1/tokens. A merchant's token reaches its own tenant alone; others \
             are 404 to it, what is the operator's is 403. Every error has the body {code, message, hint}. Lists are paged: pass `next` of a page as `after` of the following \
             one. Ids are a letter and a number (t1, i1, e1, r1); a version is the sha256 of its component in hex. \
             Times named `*_at` are unix milliseconds, platform times in unix seconds say so.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("the operator of this host")).build()))
        .build();
    OpenApiBuilder::new().info(info).components(Some(Components::new())).build()
}

/// Adds what holds for all: the token for the admin API, and the one form of errors.
pub(crate) fn complete(document: &mut OpenApi) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
    components.schemas.insert(RefusalBody::name().into_owned(), RefusalBody::schema());
    for (path, item) in &mut document.paths.paths {
        let admin = path.starts_with(crate::ADMIN);
        for operation in operations_of(item) {
            if admin {
                operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
                add_error(operation, "401", "No bearer token, or a wrong one");
                add_error(
                    operation,
                    "429",
                    "Too many wrong tokens from this address, or too many requests of this merchant at a time; see Retry-After",
                );
            }
            add_error(operation, "default", "Any refusal");
        }
    }
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [item.get.as_mut(), item.put.as_mut(), item.post.as_mut(), item.delete.as_mut(), item.patch.as_mut()]
        .into_iter()
        .flatten()
}

fn add_error(operation: &mut Operation, status: &str, description: &str) {
    let schema: RefOr<Schema> = RefOr::Ref(Ref::from_schema_name(RefusalBody::name()));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(description).content("application/json", content).build();
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}
