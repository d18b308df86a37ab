//! The pass over a module's sections.

use super::{
    FAR, GAS, HOOK, Instrumented, MARK, MEMORY, STACK, START, TABLE, Unexpected,
    body::{self, Names},
    global_export, helpers, kept,
};
use mains_types::limits::STACK_SLOTS_MAX;
use std::collections::BTreeMap;
use wasm_encoder as encode;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasmparser::{
    BlockType, CompositeInnerType, ContType, DataKind, ExternalKind, FrameKind, FuncType, ModuleArity, Operator,
    Parser, Payload, RefType, SubType, TypeRef, ValType,
};

/// The module's function types and which function has which.
#[derive(Debug, Default)]
pub(super) struct Types {
    types: Vec<SubType>,
    functions: Vec<u32>,
    imported: u32,
}

impl Types {
    /// The type of function number `index`.
    pub(super) fn function(&self, index: u32) -> Result<&FuncType, Unexpected> {
        let ty = self.functions.get(index as usize).ok_or_else(|| Unexpected("unknown function".into()))?;
        self.ty(*ty)
    }

    /// How many parameters and results a function has.
    pub(super) fn of_function(&self, index: u32) -> Result<(usize, usize), Unexpected> {
        self.function(index).map(|ty| (ty.params().len(), ty.results().len()))
    }

    /// How many parameters and results a function type has.
    pub(super) fn of_type(&self, index: u32) -> Result<(usize, usize), Unexpected> {
        self.ty(index).map(|ty| (ty.params().len(), ty.results().len()))
    }

    fn ty(&self, index: u32) -> Result<&FuncType, Unexpected> {
        match self.types.get(index as usize).map(|ty| &ty.composite_type.inner) {
            Some(CompositeInnerType::Func(ty)) => Ok(ty),
            _ => Err(Unexpected("unknown function type".into())),
        }
    }
}

impl ModuleArity for Types {
    fn sub_type_at(&self, index: u32) -> Option<&SubType> {
        self.types.get(index as usize)
    }
    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }
    fn type_index_of_function(&self, index: u32) -> Option<u32> {
        self.functions.get(index as usize).copied()
    }
    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }
    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }
    fn control_stack_height(&self) -> u32 {
        0
    }
    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}

/// The sections of the new module; those that stay as they are, are copied when met.
#[derive(Default)]
struct Sections {
    types: encode::TypeSection,
    imports: encode::ImportSection,
    functions: encode::FunctionSection,
    tables: encode::TableSection,
    memories: encode::MemorySection,
    globals: encode::GlobalSection,
    exports: encode::ExportSection,
    elements: encode::ElementSection,
    data_count: Option<u32>,
    code: encode::CodeSection,
    data: encode::DataSection,
}

/// Instruments a module that has passed validation.
///
/// # Errors
/// Something that validation refuses.
pub(crate) fn instrument(wasm: &[u8]) -> Result<Instrumented, Unexpected> {
    let mut sections = Sections::default();
    let mut types = Types::default();
    let mut bodies = Vec::new();
    let mut data = Vec::new();
    let mut mutable = Vec::new();
    let mut memory64 = false;
    let copy = &mut RoundtripReencoder;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    types.types.extend(group?.into_types());
                }
                copy.parse_type_section(&mut sections.types, section)?;
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) => types.functions.push(ty),
                        other => return Err(Unexpected(format!("imports {other:?}"))),
                    }
                }
                types.imported = types.functions.len() as u32;
                copy.parse_import_section(&mut sections.imports, section)?;
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    types.functions.push(ty?);
                }
                copy.parse_function_section(&mut sections.functions, section)?;
            }
            Payload::TableSection(section) => {
                if section.count() > 0 {
                    sections.exports.export(TABLE, encode::ExportKind::Table, 0);
                }
                copy.parse_table_section(&mut sections.tables, section)?;
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    memory64 = memory?.memory64;
                    sections.exports.export(MEMORY, encode::ExportKind::Memory, 0);
                }
                copy.parse_memory_section(&mut sections.memories, section)?;
            }
            Payload::GlobalSection(section) => {
                for (index, global) in (0..).zip(section.clone()) {
                    if global?.ty.mutable {
                        mutable.push(index);
                        sections.exports.export(&global_export(index), encode::ExportKind::Global, index);
                    }
                }
                copy.parse_global_section(&mut sections.globals, section)?;
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func && export.name.starts_with("canister_") {
                        sections.exports.export(export.name, encode::ExportKind::Func, export.index);
                    }
                }
            }
            Payload::StartSection { func, .. } => {
                sections.exports.export(START, encode::ExportKind::Func, func);
            }
            Payload::ElementSection(section) => copy.parse_element_section(&mut sections.elements, section)?,
            Payload::DataCountSection { count, .. } => sections.data_count = Some(count),
            Payload::CodeSectionEntry(body) => bodies.push(body),
            Payload::DataSection(section) => {
                for segment in section {
                    let segment = segment?;
                    if let DataKind::Active { offset_expr, .. } = segment.kind {
                        let start = segment.range.end - segment.data.len();
                        data.push((constant(&offset_expr)?, start..segment.range.end));
                        // An active segment counts as dropped, that is empty, once the module runs.
                        sections.data.passive([]);
                    } else {
                        copy.parse_data(&mut sections.data, segment)?;
                    }
                }
            }
            _ => {}
        }
    }
    let (names, helpers) = append(&mut sections, &types, memory64)?;
    for (index, body) in (types.imported..).zip(&bodies) {
        sections.code.function(&body::rewrite(body, index, &types, &names)?);
    }
    for helper in helpers::bodies(&helpers) {
        sections.code.function(&helper);
    }
    Ok(Instrumented { wasm: sections.finish(), data, globals: mutable })
}

/// Appends our globals, table, types and functions, and tells their indices.
fn append(sections: &mut Sections, types: &Types, memory64: bool) -> Result<(Names, helpers::Names), Unexpected> {
    let has_memory = !sections.memories.is_empty();
    let gas = sections.globals.len();
    for start in [0, STACK_SLOTS_MAX, 0, 0] {
        let ty = encode::GlobalType { val_type: encode::ValType::I64, mutable: true, shared: false };
        sections.globals.global(ty, &encode::ConstExpr::i64_const(start));
    }
    let first_kept = sections.globals.len();
    for ty in kept::TYPES {
        let zero = match ty {
            ValType::F32 => encode::ConstExpr::f32_const(0f32.into()),
            ValType::F64 => encode::ConstExpr::f64_const(0f64.into()),
            _ => encode::ConstExpr::v128_const(0),
        };
        for _ in 0..kept::LOCALS_MAX {
            let ty = encode::GlobalType { val_type: RoundtripReencoder.val_type(ty)?, mutable: true, shared: false };
            sections.globals.global(ty, &zero);
        }
    }
    sections.exports.export(GAS, encode::ExportKind::Global, gas);
    sections.exports.export(STACK, encode::ExportKind::Global, gas + 1);
    sections.exports.export(MARK, encode::ExportKind::Global, gas + 2);
    sections.exports.export(FAR, encode::ExportKind::Global, gas + 3);
    let hook = sections.tables.len();
    let element_type = encode::RefType::FUNCREF;
    sections.tables.table(encode::TableType {
        element_type,
        table64: false,
        minimum: 1,
        maximum: Some(1),
        shared: false,
    });
    sections.exports.export(HOOK, encode::ExportKind::Table, hook);

    let mut next_type = types.types.len() as u32;
    let helper_types = next_type;
    for ty in [encode::ValType::I32, encode::ValType::I64] {
        sections.types.ty().function([ty], [ty]);
        next_type += 1;
    }
    let hook_type = next_type;
    sections.types.ty().function([], []);
    next_type += 1;
    // A block with several results needs a type of its own.
    let mut result_types = BTreeMap::new();
    for ty in types.functions.iter().skip(types.imported as usize) {
        let results = types.ty(*ty)?.results();
        if results.len() > 1 && !result_types.contains_key(ty) {
            let results = results.iter().map(|ty| RoundtripReencoder.val_type(*ty)).collect::<Result<Vec<_>, _>>()?;
            sections.types.ty().function([], results);
            result_types.insert(*ty, next_type);
            next_type += 1;
        }
    }
    for wide in helpers::WIDE {
        sections.functions.function(helper_types + u32::from(wide));
    }
    let (mark, far, helpers) = (gas + 2, gas + 3, types.functions.len() as u32);
    let names = Names {
        gas,
        far,
        mark,
        stack: gas + 1,
        kept: first_kept,
        helpers,
        result_types: types.functions.iter().map(|ty| result_types.get(ty).copied()).collect(),
        memory64,
    };
    Ok((names, helpers::Names { gas, far, mark, hook, hook_type, memory64: has_memory.then_some(memory64), helpers }))
}

/// The value of a data segment's offset.
fn constant(expression: &wasmparser::ConstExpr<'_>) -> Result<u64, Unexpected> {
    match expression.get_operators_reader().read()? {
        Operator::I32Const { value } => Ok(u64::from(value as u32)),
        Operator::I64Const { value } => Ok(value as u64),
        other => Err(Unexpected(format!("a data segment at {other:?}"))),
    }
}

impl Sections {
    fn finish(self) -> Vec<u8> {
        let mut module = encode::Module::new();
        module.section(&self.types);
        if !self.imports.is_empty() {
            module.section(&self.imports);
        }
        module.section(&self.functions);
        module.section(&self.tables);
        if !self.memories.is_empty() {
            module.section(&self.memories);
        }
        module.section(&self.globals).section(&self.exports);
        if !self.elements.is_empty() {
            module.section(&self.elements);
        }
        if let Some(count) = self.data_count {
            module.section(&encode::DataCountSection { count });
        }
        module.section(&self.code);
        if !self.data.is_empty() {
            module.section(&self.data);
        }
        module.finish()
    }
}
