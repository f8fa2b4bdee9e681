//! Text between the parts of a component that is composed of several: refused, unless one side can hold none.
//!
//! Where one part calls another, the engine copies what is passed between their memories. Lists it copies with instructions,
//! which cost fuel by the element. Text it checks and copies in a function of its own, which costs the same fuel for a byte as
//! for all that a memory holds: a thousand of these calls take minutes of a core within what a guest may burn before it gives
//! way. No smaller fuel and no shorter way to yield makes that small, and the engine has no price to set.
//!
//! Compilers of one language give one part, or stubs beside it: parts that stand in for what is not there (componentize-qjs
//! brings two). A stub's memory has no page and never gets one, so no byte can be copied from it or to it. Anything else that
//! passes text is what somebody composed.

use wasmtime_environ::component::{
    ComponentTranslation, ComponentTypesBuilder, CoreDef, CoreExport, ExportItem, GlobalInitializer, InstantiateModule,
    RuntimeInstanceIndex, RuntimeMemoryIndex, Trampoline, Translator,
};
use wasmtime_environ::wasmparser::{Operator, Validator, WasmFeatures};
use wasmtime_environ::{
    EntityIndex, MemoryIndex, ModuleTranslation, PrimaryMap, ScopeVec, StaticModuleIndex, Tunables,
};

use crate::compiler::CompileError;

const PASS_TEXT: &str = "parts of the component pass text to each other, which costs no fuel: build it as one component, \
                         linked by its compiler, or pass list<u8>";

/// Refuses a component, which the engine compiles, if its parts pass text to each other.
pub(crate) fn check(wasm: &[u8]) -> Result<(), CompileError> {
    // The engine has looked at it with its own settings: these need only be no stricter.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut types = ComponentTypesBuilder::new(&validator);
    let (tunables, scope) = (Tunables::default_host(), ScopeVec::new());
    let translated = Translator::new(&tunables, &mut validator, &mut types, &scope).translate(wasm);
    let (component, modules) = translated.map_err(|error| CompileError::Refused(format!("{error:#}")))?;
    let parts = Parts { component: &component, modules: &modules };
    for trampoline in component.trampolines.values() {
        if let Trampoline::Transcoder { from, to, .. } = trampoline
            && !parts.stays_empty(*from)
            && !parts.stays_empty(*to)
        {
            return Err(CompileError::Refused(PASS_TEXT.to_owned()));
        }
    }
    Ok(())
}

struct Parts<'a, 'data> {
    component: &'a ComponentTranslation,
    modules: &'a PrimaryMap<StaticModuleIndex, ModuleTranslation<'data>>,
}

impl<'a, 'data> Parts<'a, 'data> {
    /// Whether a memory has no page and never gets one. In doubt it may.
    fn stays_empty(&self, memory: RuntimeMemoryIndex) -> bool {
        let found = self.component.component.initializers.iter().find_map(|step| match step {
            GlobalInitializer::ExtractMemory(extracted) if extracted.index == memory => Some(&extracted.export),
            _ => None,
        });
        let Some(CoreExport { instance, item: ExportItem::Index(index) }) = found else { return false };
        let Some(owner) = self.module(*instance) else { return false };
        let Some(limits) = owner.module.memories.get(*index).map(|memory| memory.limits) else { return false };
        if owner.module.defined_memory_index(*index).is_none() || limits.min > 0 {
            return false;
        }
        limits.max == Some(0)
            || (!grows(owner) && self.importers(*instance, *index).all(|one| !grows(one) && !shares(one)))
    }

    /// The modules that get a memory of an instance as an import.
    fn importers(
        &self,
        instance: RuntimeInstanceIndex,
        memory: MemoryIndex,
    ) -> impl Iterator<Item = &'a ModuleTranslation<'data>> {
        let is_it = move |given: &CoreDef| match given {
            CoreDef::Export(export) if export.instance == instance => match &export.item {
                ExportItem::Index(EntityIndex::Memory(index)) => *index == memory,
                ExportItem::Index(_) => false,
                // Never written for modules that are known; in doubt it is.
                ExportItem::Name(_) => true,
            },
            _ => false,
        };
        let modules = self.modules;
        self.component.component.initializers.iter().filter_map(move |step| match step {
            GlobalInitializer::InstantiateModule(InstantiateModule::Static(module, given), _) => {
                given.iter().any(is_it).then(|| &modules[*module])
            }
            _ => None,
        })
    }

    /// What an instance is made of; none if that is an import of the component.
    fn module(&self, instance: RuntimeInstanceIndex) -> Option<&'a ModuleTranslation<'data>> {
        let mut made = self.component.component.initializers.iter().filter_map(|step| match step {
            GlobalInitializer::InstantiateModule(made, _) => Some(made),
            _ => None,
        });
        match made.nth(instance.as_u32() as usize)? {
            InstantiateModule::Static(module, _) => Some(&self.modules[*module]),
            InstantiateModule::Import(..) => None,
        }
    }
}

/// Whether a module can grow a memory; one whose code can't be read can.
fn grows(module: &ModuleTranslation<'_>) -> bool {
    module.function_body_inputs.values().any(|function| match function.body.get_operators_reader() {
        Ok(operators) => {
            operators.into_iter().any(|operator| operator.map_or(true, |it| matches!(it, Operator::MemoryGrow { .. })))
        }
        Err(_) => true,
    })
}

/// Whether a module passes a memory on that it imported.
fn shares(module: &ModuleTranslation<'_>) -> bool {
    let imported = |index: MemoryIndex| module.module.defined_memory_index(index).is_none();
    module.module.exports.values().any(|entity| matches!(entity, EntityIndex::Memory(index) if imported(*index)))
}
