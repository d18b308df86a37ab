//! What a Wasm module says about itself in its custom sections.

use wasmparser::{Parser, Payload};

/// Exports of a module that answers HTTP requests.
const PAGES: [&str; 2] = ["canister_query http_request", "canister_composite_query http_request"];

/// A module's remarks for tools.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remarks {
    /// Text of its `candid:service` section.
    pub(crate) interface: Option<String>,
    /// Whether its heap must survive upgrades (Motoko's enhanced orthogonal persistence).
    pub(crate) keeps_heap: bool,
    /// Whether it answers HTTP requests.
    pub(crate) serves_pages: bool,
}

/// Reads the remarks of `module`; none of a gzipped or malformed one.
pub(crate) fn remarks(module: &[u8]) -> Remarks {
    let mut remarks = Remarks::default();
    if !module.starts_with(b"\0asm") {
        return remarks;
    }
    for payload in Parser::new(0).parse_all(module) {
        if let Ok(Payload::ExportSection(exports)) = &payload {
            let mut names = exports.clone().into_iter().flatten().map(|export| export.name);
            remarks.serves_pages = names.any(|name| PAGES.contains(&name));
        }
        let Ok(Payload::CustomSection(section)) = payload else { continue };
        let name = section.name();
        match name.strip_prefix("icp:public ").or_else(|| name.strip_prefix("icp:private ")) {
            Some("candid:service") => remarks.interface = String::from_utf8(section.data().to_vec()).ok(),
            Some("enhanced-orthogonal-persistence") => remarks.keeps_heap = true,
            _ => {}
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, (1 + name.len() + data.len()) as u8, name.len() as u8];
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn sections_are_found_by_their_names() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(section("name", b"\0"));
        module.extend(section("icp:public candid:service", b"service : {}"));
        module.extend(section("icp:private enhanced-orthogonal-persistence", b""));
        let found = remarks(&module);
        assert_eq!(found.interface.as_deref(), Some("service : {}"));
        assert!(found.keeps_heap);
    }

    #[test]
    fn a_module_that_answers_http_requests_is_known_by_its_export() {
        let exporting = |name: &[u8]| {
            let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec();
            module.extend([7, name.len() as u8 + 4, 1, name.len() as u8]);
            module.extend(name);
            module.extend([0, 0]);
            remarks(&module).serves_pages
        };
        assert!(exporting(b"canister_query http_request"));
        assert!(!exporting(b"canister_update http_request"));
    }

    #[test]
    fn files_that_are_no_modules_have_no_remarks() {
        assert_eq!(remarks(b"\x1f\x8b\x08"), Remarks::default());
        assert_eq!(remarks(b"\0asm\x01\0\0\0\xff\xff\xff"), Remarks::default());
    }
}
