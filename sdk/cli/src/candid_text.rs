//! Candid as people write it, typed by the canister's own interface where it publishes one.

use anyhow::{Context as _, Result, anyhow};
use candid::{
    IDLArgs, TypeEnv,
    types::{Type, TypeInner},
};
use candid_parser::{IDLProg, check_prog, parse_idl_args};

/// A canister's published interface.
pub(crate) struct Interface {
    env: TypeEnv,
    service: Type,
}

impl Interface {
    /// Parses the text of a `candid:service` section; `None` if it describes no service.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let program: IDLProg = text.parse().ok()?;
        let mut env = TypeEnv::new();
        let service = check_prog(&mut env, &program).ok()??;
        Some(Self { env, service })
    }

    /// Encodes the text `argument` for `method`.
    pub(crate) fn encode(&self, method: &str, argument: &str) -> Result<Vec<u8>> {
        let function = self.env.get_method(&self.service, method).map_err(|_| self.no_such_method(method))?;
        encode(argument, Some((&self.env, &function.args)))
            .with_context(|| format!("{method} takes {}", types(&function.args)))
    }

    /// Encodes the text `argument` for the canister's init.
    pub(crate) fn encode_init(&self, argument: &str) -> Result<Vec<u8>> {
        let TypeInner::Class(args, _) = self.service.as_ref() else { return encode(argument, Some((&self.env, &[]))) };
        encode(argument, Some((&self.env, args))).with_context(|| format!("the canister's init takes {}", types(args)))
    }

    /// The reply of `method` as text.
    pub(crate) fn decode(&self, method: &str, reply: &[u8]) -> Result<String> {
        let function = self.env.get_method(&self.service, method).map_err(|_| self.no_such_method(method))?;
        let reply = IDLArgs::from_bytes_with_types(reply, &self.env, &function.rets)?;
        Ok(reply.to_string())
    }

    fn no_such_method(&self, method: &str) -> anyhow::Error {
        let methods = match self.env.as_service(&self.service) {
            Ok(methods) => methods.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
            Err(_) => String::new(),
        };
        anyhow!("the canister has no method `{method}`; it has {methods}")
    }
}

/// Encodes `argument` by `interface` if there is one, else by what the text looks like.
pub(crate) fn encode_call(interface: Option<&Interface>, method: &str, argument: &str) -> Result<Vec<u8>> {
    match interface {
        Some(interface) => interface.encode(method, argument),
        None => encode(argument, None),
    }
}

/// `reply` as text, by `interface` if there is one and it fits.
pub(crate) fn decode_reply(interface: Option<&Interface>, method: &str, reply: &[u8]) -> String {
    if let Some(Ok(text)) = interface.map(|interface| interface.decode(method, reply)) {
        return text;
    }
    match IDLArgs::from_bytes(reply) {
        Ok(reply) => reply.to_string(),
        // Not Candid: a canister may reply with any bytes.
        Err(_) => format!("0x{}", hex::encode(reply)),
    }
}

fn encode(argument: &str, types: Option<(&TypeEnv, &[Type])>) -> Result<Vec<u8>> {
    // A single value without parentheses is what people type first.
    let argument = argument.trim();
    let text = if argument.starts_with('(') { argument.to_owned() } else { format!("({argument})") };
    let args = parse_idl_args(&text).map_err(|error| {
        anyhow!("`{argument}` is not Candid ({error}); write for example '(\"text\", 5, opt true)'")
    })?;
    Ok(match types {
        Some((env, types)) => args.to_bytes_with_types(env, types)?,
        None => args.to_bytes()?,
    })
}

fn types(types: &[Type]) -> String {
    format!("({})", types.iter().map(Type::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::{Decode, Encode};

    const SERVICE: &str =
        "service : (opt nat64) -> { add : (nat64) -> (nat64); get : () -> (record { value : nat64 }) query }";

    fn interface() -> Interface {
        Interface::parse(SERVICE).expect("it is a service")
    }

    #[test]
    fn arguments_take_the_types_of_the_interface() {
        let encoded = interface().encode("add", "(5)").expect("it fits");
        assert_eq!(Decode!(&encoded, u64).expect("a nat64"), 5);
        assert_eq!(interface().encode("add", "5").expect("parentheses are optional"), encoded);
        let untyped = encode("(5)", None).expect("it parses");
        assert_ne!(untyped, encoded, "without types a number is an int");
    }

    #[test]
    fn init_arguments_come_from_the_class() {
        let encoded = interface().encode_init("(opt 7)").expect("it fits");
        assert_eq!(Decode!(&encoded, Option<u64>).expect("an opt nat64"), Some(7));
    }

    #[test]
    fn replies_show_field_names() {
        #[derive(candid::CandidType)]
        struct Value {
            value: u64,
        }
        let reply = Encode!(&Value { value: 3 }).expect("it encodes");
        let text = decode_reply(Some(&interface()), "get", &reply);
        assert!(text.contains("value = 3"), "{text}");
        assert_eq!(decode_reply(None, "get", b"raw"), "0x726177");
    }

    #[test]
    fn mistakes_are_answered_with_what_would_be_right() {
        let error = interface().encode("inc", "()").expect_err("no such method").to_string();
        assert!(error.contains("add, get"), "{error}");
        let error = format!("{:#}", interface().encode("add", "(\"x\")").expect_err("a text is no nat64"));
        assert!(error.contains("add takes (nat64)"), "{error}");
        assert!(encode("((", None).expect_err("no Candid").to_string().contains("is not Candid"));
    }
}
