//! The scripted canister as it is shipped, and variants of it: exports less or more, custom sections, other sections left as
//! they are.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;

/// How a module begins.
const HEADER: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;
const EXPORTS: u8 = 7;
/// Hooks that cost something in every block or for every message.
const HOOKS: [&str; 4] =
    ["canister_heartbeat", "canister_inspect_message", "canister_on_low_wasm_memory", "canister_global_timer"];

/// A module, cut into its sections.
#[derive(Clone, Debug)]
pub struct Module {
    sections: Vec<(u8, Vec<u8>)>,
}

impl Module {
    /// The scripted canister of so many bits with these hooks beyond init and upgrade.
    ///
    /// # Errors
    /// The file is not there.
    pub fn scripted(bits: u32, hooks: &[&str]) -> Result<Self> {
        let name = if bits == 64 { "scripted64-rust.wasm" } else { "scripted-rust.wasm" };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/examples/prebuilt").join(name);
        let wasm = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Self::read(&wasm)?.with_exports(|name| !HOOKS.contains(&name) || hooks.contains(&name))
    }

    /// Cuts a module into its sections.
    ///
    /// # Errors
    /// It is none.
    pub fn read(wasm: &[u8]) -> Result<Self> {
        let mut rest = wasm.strip_prefix(HEADER).context("a module")?;
        let mut sections = Vec::new();
        while let Some((kind, after)) = rest.split_first() {
            let mut reader = Reader(after);
            let content = reader.bytes()?;
            sections.push((*kind, content.to_vec()));
            rest = reader.0;
        }
        Ok(Self { sections })
    }

    /// Without the exports for whose names `keep` answers no.
    ///
    /// # Errors
    /// The section of exports is not well-formed.
    pub fn with_exports(mut self, keep: impl Fn(&str) -> bool) -> Result<Self> {
        let section = self.sections.iter_mut().find(|(kind, _)| *kind == EXPORTS).context("exports")?;
        let mut reader = Reader(&section.1);
        let (mut count, mut kept) = (0, Vec::new());
        for _ in 0..reader.number()? {
            let before = reader.0;
            let name = std::str::from_utf8(reader.bytes()?)?;
            reader.byte()?;
            reader.number()?;
            if keep(name) {
                count += 1;
                kept.extend_from_slice(&before[..before.len() - reader.0.len()]);
            }
        }
        section.1 = [number(count), kept].concat();
        Ok(self)
    }

    /// With a custom section at its end.
    #[must_use]
    pub fn with_section(mut self, name: &[u8], content: &[u8]) -> Self {
        self.sections.push((CUSTOM, [number(name.len()), name.to_vec(), content.to_vec()].concat()));
        self
    }

    /// The module.
    pub fn wasm(&self) -> Vec<u8> {
        let mut wasm = HEADER.to_vec();
        for (kind, content) in &self.sections {
            wasm.push(*kind);
            wasm.extend(number(content.len()));
            wasm.extend_from_slice(content);
        }
        wasm
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().context("the module ends early")?;
        self.0 = rest;
        Ok(*byte)
    }

    /// LEB128.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        anyhow::bail!("a number of more than 32 bits")
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = self.number()?;
        ensure!(count <= self.0.len(), "the module ends early");
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(bytes)
    }
}

/// LEB128.
fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_cut_and_put_together() {
        let module = wat::parse_str(
            r#"(module (func $f) (export "canister_heartbeat" (func $f)) (export "canister_update go" (func $f)))"#,
        )
        .unwrap();
        assert_eq!(Module::read(&module).unwrap().wasm(), module);
        let without = Module::read(&module).unwrap().with_exports(|name| name != "canister_heartbeat").unwrap();
        let expected = wat::parse_str(r#"(module (func $f) (export "canister_update go" (func $f)))"#).unwrap();
        assert_eq!(without.wasm(), expected);
        let with = without.with_section(b"icp:public note", b"text").wasm();
        assert!(with.ends_with(b"\x0ficp:public notetext") && with.starts_with(&expected));
    }
}
