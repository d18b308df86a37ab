//! Rules for what a module shows and asks: imports, exports, custom sections.

use super::{globals::Described, refuse};
use crate::{
    imports::{self, Type},
    instrument::RESERVED,
};
use mains_execution::engine::{ModuleError, ModuleInfo, SectionVisibility};
use mains_types::limits;
use std::collections::BTreeSet;
use wasmparser::{CompositeInnerType, Export, ExternalKind, FuncType, SubType, ValType};

/// Entry points without a method name.
const HOOKS: [&str; 7] = [
    "canister_init",
    "canister_pre_upgrade",
    "canister_post_upgrade",
    "canister_inspect_message",
    "canister_heartbeat",
    "canister_global_timer",
    "canister_on_low_wasm_memory",
];
/// Marks modules whose heap outlives upgrades (Motoko's orthogonal persistence).
const PERSISTENCE_SECTION: &str = "enhanced-orthogonal-persistence";

/// Collects the interface while sections pass by; imports are judged at the end, when the memory's width is known.
#[derive(Default)]
pub(super) struct Interface {
    pub(super) types: Vec<SubType>,
    /// Type of every function, imported ones first.
    pub(super) functions: Vec<u32>,
    pub(super) memory64: bool,
    pub(super) memory_bytes_max: u64,
    pub(super) globals: Vec<Described>,
    exported_globals: BTreeSet<u32>,
    imports: Vec<(String, String, u32, u64)>,
    info: ModuleInfo,
    section_bytes: usize,
}

impl Interface {
    pub(super) fn import(&mut self, module: &str, name: &str, ty: u32, offset: u64) {
        self.functions.push(ty);
        self.imports.push((module.into(), name.into(), ty, offset));
    }

    pub(super) fn export(&mut self, export: &Export<'_>, offset: u64) -> Result<(), ModuleError> {
        let name = export.name;
        if name.starts_with(RESERVED) {
            return refuse(format!("exports {name:?}: names that begin with {RESERVED} are reserved"), offset);
        }
        if export.kind == ExternalKind::Global {
            self.exported_globals.insert(export.index);
        }
        if !name.starts_with("canister_") {
            return Ok(());
        }
        let info = &mut self.info;
        let known = if let Some(method) = name.strip_prefix("canister_update ") {
            info.updates.insert(method.into())
        } else if let Some(method) = name.strip_prefix("canister_query ") {
            info.queries.insert(method.into())
        } else if let Some(method) = name.strip_prefix("canister_composite_query ") {
            info.composite_queries.insert(method.into())
        } else {
            HOOKS.contains(&name) && info.hooks.insert(name.into())
        };
        if !known {
            return refuse(format!("exports {name:?}, which is no entry point of a canister"), offset);
        }
        let ty = match export.kind {
            ExternalKind::Func => self.functions.get(export.index as usize).and_then(|ty| self.function(*ty)),
            _ => None,
        };
        if !ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty()) {
            return refuse(format!("exports {name:?}, which is no function without parameters and results"), offset);
        }
        Ok(())
    }

    pub(super) fn custom(&mut self, name: &str, content: &[u8], offset: u64) -> Result<(), ModuleError> {
        if name == PERSISTENCE_SECTION {
            self.info.orthogonal_persistence = true;
        }
        let Some(rest) = name.strip_prefix("icp:") else { return Ok(()) };
        let (visibility, name) = match rest.split_once(' ') {
            Some(("public", name)) => (SectionVisibility::Public, name),
            Some(("private", name)) => (SectionVisibility::Private, name),
            _ => {
                return refuse(
                    format!("has a custom section {name:?}: after icp: comes public or private and a name"),
                    offset,
                );
            }
        };
        self.info.orthogonal_persistence |= name == PERSISTENCE_SECTION;
        self.section_bytes += name.len() + content.len();
        if self.section_bytes > limits::MODULE_CUSTOM_SECTIONS_BYTES_MAX {
            let rule =
                format!("has icp: custom sections with more than {} bytes", limits::MODULE_CUSTOM_SECTIONS_BYTES_MAX);
            return refuse(rule, offset);
        }
        if self.info.sections.insert(name.into(), (visibility, content.to_vec())).is_some() {
            return refuse(format!("has more than one icp: custom section {name:?}"), offset);
        }
        if self.info.sections.len() > limits::MODULE_CUSTOM_SECTIONS_MAX {
            let rule = format!("has more than {} icp: custom sections", limits::MODULE_CUSTOM_SECTIONS_MAX);
            return refuse(rule, offset);
        }
        Ok(())
    }

    /// Rules over everything collected.
    pub(super) fn finish(mut self) -> Result<ModuleInfo, ModuleError> {
        for (module, name, ty, offset) in &self.imports {
            self.check_import(module, name, *ty, *offset)?;
        }
        let ModuleInfo { updates, queries, composite_queries, .. } = &self.info;
        let kinds = [(updates, queries), (updates, composite_queries), (queries, composite_queries)];
        if let Some(method) = kinds.into_iter().find_map(|(one, other)| one.intersection(other).next()) {
            return refuse_anywhere(format!("exports method {method:?} more than once, as different kinds"));
        }
        let methods = || updates.iter().chain(queries).chain(composite_queries);
        if methods().count() > limits::MODULE_METHODS_MAX {
            return refuse_anywhere(format!("exports more than {} methods", limits::MODULE_METHODS_MAX));
        }
        if methods().map(String::len).sum::<usize>() > limits::MODULE_METHOD_NAMES_BYTES_MAX {
            let rule = format!("exports method names of more than {} bytes", limits::MODULE_METHOD_NAMES_BYTES_MAX);
            return refuse_anywhere(rule);
        }
        self.info.memory64 = self.memory64;
        self.info.memory_bytes_max = self.memory_bytes_max;
        let shown = (0..)
            .zip(&self.globals)
            .filter(|(index, (is_mutable, _))| *is_mutable || self.exported_globals.contains(index));
        self.info.globals = shown.filter_map(|(_, (_, info))| *info).collect();
        Ok(self.info)
    }

    fn check_import(&self, module: &str, name: &str, ty: u32, offset: u64) -> Result<(), ModuleError> {
        let known = if module == imports::MODULE { imports::find(name) } else { None };
        let Some(known) = known else {
            return refuse(format!("imports unknown function {module}.{name}"), offset);
        };
        if known.narrow && self.memory64 {
            return refuse(
                format!("imports {module}.{name}, which exists only for modules with 32-bit memory"),
                offset,
            );
        }
        let is = |actual: &[ValType], expected: &[Type]| {
            actual.len() == expected.len()
                && actual.iter().zip(expected).all(|(actual, expected)| *actual == self.value_type(*expected))
        };
        match self.function(ty) {
            Some(ty) if is(ty.params(), known.parameters) && is(ty.results(), known.results) => Ok(()),
            _ => {
                let list = |types: &[Type]| {
                    types.iter().map(|ty| self.value_type(*ty).to_string()).collect::<Vec<_>>().join(", ")
                };
                let (parameters, results) = (list(known.parameters), list(known.results));
                refuse(
                    format!("imports {module}.{name} with a wrong type; it is ({parameters}) -> ({results})"),
                    offset,
                )
            }
        }
    }

    fn value_type(&self, ty: Type) -> ValType {
        match ty {
            Type::Pointer if self.memory64 => ValType::I64,
            Type::Pointer | Type::I32 => ValType::I32,
            Type::I64 => ValType::I64,
        }
    }

    fn function(&self, ty: u32) -> Option<&FuncType> {
        match &self.types.get(ty as usize)?.composite_type.inner {
            CompositeInnerType::Func(ty) => Some(ty),
            _ => None,
        }
    }
}

fn refuse_anywhere<T>(rule: String) -> Result<T, ModuleError> {
    Err(ModuleError { rule, offset: None })
}
