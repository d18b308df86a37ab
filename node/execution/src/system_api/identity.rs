//! Who the canister is and where it lives: id, status, version, controllers, subnet, root key, environment variables.

use super::{Modes, SystemApi, heap};
use crate::engine::Trap;
use mains_state::RunStatus;
use mains_types::{Principal, limits};

impl SystemApi {
    /// Bytes of the canister's id.
    pub fn canister_self_size(&mut self) -> Result<u64, Trap> {
        self.enter("canister_self_size", Modes::NOT_START)?;
        Ok(self.inputs.canister.id.as_slice().len() as u64)
    }

    /// Copies a part of the canister's id.
    pub fn canister_self_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("canister_self_copy", Modes::NOT_START)?;
        self.charge_bytes(size)?;
        heap::copy("canister_self_copy", heap, dst, self.inputs.canister.id.as_slice(), offset, size)
    }

    /// 1 running, 2 stopping, 3 stopped.
    pub fn canister_status(&mut self) -> Result<u32, Trap> {
        self.enter("canister_status", Modes::NOT_START)?;
        Ok(match self.inputs.canister.status {
            RunStatus::Running => 1,
            RunStatus::Stopping(_) => 2,
            RunStatus::Stopped => 3,
        })
    }

    /// The canister's version: grows with every change to it.
    pub fn canister_version(&mut self) -> Result<u64, Trap> {
        self.enter("canister_version", Modes::NOT_START)?;
        Ok(self.inputs.canister.version)
    }

    /// Whether this principal is a controller of the canister: 1 or 0.
    pub fn is_controller(&mut self, heap: &mut [u8], src: u64, size: u64) -> Result<u32, Trap> {
        self.enter("is_controller", Modes::EVERYWHERE)?;
        self.charge_bytes(size)?;
        let principal = Principal::try_from_slice(heap::read(heap, src, size)?)
            .map_err(|_| Trap::Contract("ic0.is_controller: not a principal".into()))?;
        Ok(u32::from(self.inputs.canister.settings.controllers.contains(&principal)))
    }

    /// Bytes of the subnet's id.
    pub fn subnet_self_size(&mut self) -> Result<u64, Trap> {
        self.enter("subnet_self_size", Modes::NOT_START)?;
        Ok(self.inputs.subnet.id.as_slice().len() as u64)
    }

    /// Copies a part of the subnet's id.
    pub fn subnet_self_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("subnet_self_copy", Modes::NOT_START)?;
        self.charge_bytes(size)?;
        heap::copy("subnet_self_copy", heap, dst, self.inputs.subnet.id.as_slice(), offset, size)
    }

    /// Bytes of the network's root key (DER).
    pub fn root_key_size(&mut self) -> Result<u64, Trap> {
        self.enter("root_key_size", Modes::ROOT_KEY)?;
        Ok(self.inputs.subnet.public_key_der.len() as u64)
    }

    /// Copies a part of the network's root key (DER).
    pub fn root_key_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("root_key_copy", Modes::ROOT_KEY)?;
        self.charge_bytes(size)?;
        heap::copy("root_key_copy", heap, dst, &self.inputs.subnet.public_key_der, offset, size)
    }

    /// How many environment variables there are.
    pub fn env_var_count(&mut self) -> Result<u64, Trap> {
        self.enter("env_var_count", Modes::NOT_START)?;
        Ok(self.inputs.canister.settings.environment_variables.len() as u64)
    }

    /// Bytes of the name of the variable with this index, in the order of names.
    pub fn env_var_name_size(&mut self, index: u64) -> Result<u64, Trap> {
        self.enter("env_var_name_size", Modes::NOT_START)?;
        Ok(self.variable_name("env_var_name_size", index)?.len() as u64)
    }

    /// Copies a part of the name of the variable with this index.
    pub fn env_var_name_copy(
        &mut self,
        heap: &mut [u8],
        index: u64,
        dst: u64,
        offset: u64,
        size: u64,
    ) -> Result<(), Trap> {
        self.enter("env_var_name_copy", Modes::NOT_START)?;
        self.charge_bytes(size)?;
        let name = self.variable_name("env_var_name_copy", index)?;
        heap::copy("env_var_name_copy", heap, dst, name.as_bytes(), offset, size)
    }

    /// Whether there is a variable with this name: 1 or 0.
    pub fn env_var_name_exists(&mut self, heap: &mut [u8], name_src: u64, name_size: u64) -> Result<u32, Trap> {
        self.enter("env_var_name_exists", Modes::NOT_START)?;
        self.charge_bytes(name_size)?;
        let name = read_name("env_var_name_exists", heap, name_src, name_size)?;
        Ok(u32::from(self.inputs.canister.settings.environment_variables.contains_key(name)))
    }

    /// Bytes of a variable's value.
    pub fn env_var_value_size(&mut self, heap: &mut [u8], name_src: u64, name_size: u64) -> Result<u64, Trap> {
        self.enter("env_var_value_size", Modes::NOT_START)?;
        self.charge_bytes(name_size)?;
        let name = read_name("env_var_value_size", heap, name_src, name_size)?;
        Ok(self.variable_value("env_var_value_size", name)?.len() as u64)
    }

    /// Copies a part of a variable's value.
    pub fn env_var_value_copy(
        &mut self,
        heap: &mut [u8],
        name_src: u64,
        name_size: u64,
        dst: u64,
        offset: u64,
        size: u64,
    ) -> Result<(), Trap> {
        self.enter("env_var_value_copy", Modes::NOT_START)?;
        self.charge_bytes(name_size.saturating_add(size))?;
        let name = read_name("env_var_value_copy", heap, name_src, name_size)?.to_owned();
        let value = self.variable_value("env_var_value_copy", &name)?;
        heap::copy("env_var_value_copy", heap, dst, value.as_bytes(), offset, size)
    }

    fn variable_name(&self, function: &'static str, index: u64) -> Result<&str, Trap> {
        let variables = &self.inputs.canister.settings.environment_variables;
        usize::try_from(index).ok().and_then(|index| variables.keys().nth(index)).map(String::as_str).ok_or_else(|| {
            Trap::Contract(format!(
                "ic0.{function}: index {index}, but there are {} environment variables",
                variables.len()
            ))
        })
    }

    fn variable_value(&self, function: &'static str, name: &str) -> Result<&str, Trap> {
        let variables = &self.inputs.canister.settings.environment_variables;
        variables
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Trap::Contract(format!("ic0.{function}: there is no environment variable {name:?}")))
    }
}

fn read_name<'a>(function: &'static str, heap: &'a [u8], src: u64, size: u64) -> Result<&'a str, Trap> {
    let name = heap::read(heap, src, size)?;
    if name.len() > limits::ENVIRONMENT_VARIABLE_BYTES_MAX {
        return Err(Trap::Contract(format!(
            "ic0.{function}: a name has at most {} bytes, this one {}",
            limits::ENVIRONMENT_VARIABLE_BYTES_MAX,
            name.len()
        )));
    }
    std::str::from_utf8(name).map_err(|_| Trap::Contract(format!("ic0.{function}: the name is not valid UTF-8")))
}
