//! `mains identity …`.

use crate::{
    args::IdentityCommand,
    context::Context,
    home::ANONYMOUS,
    terminal::{self, Colour},
};
use anyhow::Result;
use mains_client::identity::{Identity, from_seed};
use mains_types::Principal;
use serde::Serialize;

#[derive(Serialize)]
struct Listed {
    name: String,
    principal: String,
    chosen: bool,
}

pub(crate) fn run(context: &Context, command: IdentityCommand) -> Result<()> {
    match command {
        IdentityCommand::New { name } => {
            let principal = principal(&context.home.new_identity(&name)?);
            if context.is_json() {
                terminal::json(&Listed { name, principal, chosen: false });
            } else {
                terminal::line(&principal);
                context.note(format_args!(
                    "made identity `{name}`; sign with it from now on by `mains identity use {name}`"
                ));
            }
        }
        IdentityCommand::Use { name } => {
            context.home.set_identity(&name)?;
            context.note(format_args!("`{name}` signs from now on"));
        }
        IdentityCommand::List => list(context)?,
    }
    Ok(())
}

fn list(context: &Context) -> Result<()> {
    let chosen = context.shared.identity.clone().unwrap_or_else(|| context.home.identity());
    let mut listed = vec![Listed {
        name: ANONYMOUS.into(),
        principal: Principal::anonymous().to_text(),
        chosen: chosen == ANONYMOUS,
    }];
    for name in context.home.identities()? {
        let principal = principal(&context.home.seed(&name)?);
        listed.push(Listed { chosen: chosen == name, name, principal });
    }
    if context.is_json() {
        terminal::json(&listed);
        return Ok(());
    }
    let row = |entry: &Listed| {
        let mark = if entry.chosen { "*" } else { " " };
        vec![format!("{mark} {}", entry.name), entry.principal.clone()]
    };
    terminal::table(&listed.iter().map(row).collect::<Vec<_>>());
    if !listed.iter().any(|entry| entry.chosen) {
        context.note(terminal::coloured(Colour::Grey, &format!("`{chosen}` is made when it first signs")));
    }
    Ok(())
}

fn principal(seed: &[u8; 32]) -> String {
    from_seed(seed).sender().map_or_else(|_| "?".into(), |principal| principal.to_text())
}
