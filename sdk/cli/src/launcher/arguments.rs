//! The launcher's command line, as `icp` writes it (its interface 1.1).

use clap::{
    ArgAction, CommandFactory as _, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// Major version of the interface that is spoken, and the newest minor one whose arguments are all known.
const INTERFACE: (u64, u64) = (1, 1);

/// Run a test network of four replicas for `icp network start`.
#[derive(Debug, Parser)]
#[command(name = "mains", version, disable_help_subcommand = true, max_term_width = 110)]
#[command(after_help = "`icp` writes this command line: export ICP_CLI_NETWORK_LAUNCHER_PATH=$(which mains).")]
pub(crate) struct Arguments {
    /// Version of this command line. Arguments of a later 1.x that are not known are ignored with a warning.
    #[arg(long, value_name = "1.x.y", value_parser = version)]
    interface_version: (u64, u64),
    /// Where the replicas keep their files; a network that is there continues.
    #[arg(long)]
    pub(crate) state_dir: PathBuf,
    /// Address of the gateway.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Port of the gateway; 0 for one that is free.
    #[arg(long, default_value_t = 0)]
    gateway_port: u16,
    /// Where `status.json` goes once the network serves.
    #[arg(long)]
    pub(crate) status_dir: Option<PathBuf>,
    /// Ignored: one subnet takes all canisters.
    #[arg(long, value_name = "KIND", action = ArgAction::Append)]
    subnet: Vec<String>,
    /// Ignored: replicas agree as fast as they can.
    #[arg(long, value_name = "MS")]
    artificial_delay_ms: Option<u64>,
    /// Names under which browsers reach the gateway; `localhost` and addresses need none.
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    domain: Vec<String>,
    /// Ignored: the replicas' logs are in the state directory.
    #[arg(long)]
    verbose: bool,
    /// Ignored: there is no administration interface.
    #[arg(long, value_name = "PORT")]
    config_port: Option<u16>,
    /// Refused: Internet Identity is not part of this binary.
    #[arg(long)]
    ii: bool,
    /// Refused: the NNS is not part of this binary.
    #[arg(long)]
    nns: bool,
    /// Refused: there is no Bitcoin integration.
    #[arg(long, value_name = "HOST:PORT", action = ArgAction::Append)]
    bitcoind_addr: Vec<String>,
    /// Refused: there is no Dogecoin integration.
    #[arg(long, value_name = "HOST:PORT", action = ArgAction::Append)]
    dogecoind_addr: Vec<String>,
    /// What a later interface added.
    #[arg(skip)]
    unknown: Vec<String>,
}

impl Arguments {
    /// Reads a command line; its first element is the program's name.
    ///
    /// # Errors
    /// Malformed, of another interface, or asking for what is not here: says what to change.
    pub(crate) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut line: Vec<OsString> = line.into_iter().collect();
        let mut unknown = Vec::new();
        let is_later = line.iter().filter_map(|word| version(word.to_str()?.split('=').next_back()?).ok()).next()
            > Some(INTERFACE);
        let mut arguments = loop {
            match Self::try_parse_from(&line) {
                Ok(arguments) => break arguments,
                Err(error) => match unknown_word(&error).filter(|_| is_later) {
                    Some(word) => {
                        line.retain(|one| one.to_str().and_then(|one| one.split('=').next()) != Some(&word));
                        unknown.push(word);
                    }
                    None => return Err(error),
                },
            }
        };
        arguments.unknown = unknown;
        arguments.check()
    }

    fn check(self) -> Result<Self, clap::Error> {
        let refusals = [
            (self.ii, "ii: Internet Identity is not part of this binary: take `ii` out of the network in icp.yaml"),
            (self.nns, "nns: the NNS is not part of this binary: take `nns` out of the network in icp.yaml"),
            (!self.bitcoind_addr.is_empty(), "bitcoind-addr: there is no Bitcoin integration: take it out of icp.yaml"),
            (
                !self.dogecoind_addr.is_empty(),
                "dogecoind-addr: there is no Dogecoin integration: take it out of icp.yaml",
            ),
        ];
        match refusals.iter().find(|(is_asked_for, _)| *is_asked_for) {
            Some((_, reason)) => Err(Self::command().error(ErrorKind::InvalidValue, format!("--{reason}"))),
            None => Ok(self),
        }
    }

    /// Where the first replica listens for clients.
    pub(crate) fn gateway(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.gateway_port)
    }

    /// What was asked for and is done otherwise, a line each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let others: Vec<&str> = self.subnet.iter().map(String::as_str).filter(|kind| *kind != "application").collect();
        if !others.is_empty() {
            remarks
                .push(format!("warning: --subnet {}: one application subnet takes all canisters", others.join(", ")));
        }
        if self.artificial_delay_ms.is_some() {
            remarks.push("warning: --artificial-delay-ms is ignored: replicas agree as fast as they can".to_owned());
        }
        let is_served =
            |name: &str| name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok();
        for name in self.domain.iter().filter(|name| !is_served(name)) {
            remarks.push(format!("warning: --domain {name}: only localhost is served by name"));
        }
        for word in &self.unknown {
            remarks.push(format!("warning: {word} is not known here and ignored"));
        }
        remarks
    }
}

/// The word that made clap refuse a line, if that is why it did.
fn unknown_word(error: &clap::Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) => Some(word.clone()),
        _ => None,
    }
}

/// Major and minor number of an interface version.
fn version(text: &str) -> Result<(u64, u64), String> {
    let mut numbers = text.split('.').map(str::parse::<u64>);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(_)), None) if major == INTERFACE.0 => Ok((major, minor)),
        (Some(Ok(_)), Some(Ok(_)), Some(Ok(_)), None) => Err(format!("this binary speaks version {}", INTERFACE.0)),
        _ => Err("write a version such as 1.1.0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        let words = std::iter::once("mains").chain(line.split_whitespace()).map(OsString::from);
        Arguments::read(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_icp_writes_is_understood() {
        let line = "--interface-version 1.1.0 --state-dir /s --bind 127.0.0.1 --gateway-port 8000 --status-dir /t \
                    --verbose --artificial-delay-ms=5 --subnet=application --subnet=system --domain=127.0.0.1";
        let arguments = read(line).expect("understood");
        assert_eq!(arguments.gateway(), SocketAddr::from(([127, 0, 0, 1], 8000)));
        assert_eq!(arguments.state_dir, PathBuf::from("/s"));
        let remarks = arguments.remarks();
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(remarks[0].contains("system") && remarks[1].contains("--artificial-delay-ms"));
        let least = read("--interface-version 1.0.0 --state-dir /s").expect("understood");
        assert_eq!(least.gateway().port(), 0);
        assert!(least.remarks().is_empty());
    }

    #[test]
    fn unknown_arguments_are_errors_now_and_warnings_of_a_later_interface() {
        let now = read("--interface-version 1.1.0 --state-dir /s --colour=red").expect_err("unknown");
        assert!(now.contains("--colour"), "{now}");
        for later in ["--colour=red --fast", "--colour red --fast"] {
            let arguments = read(&format!("--interface-version 1.7.0 {later} --state-dir /s")).expect("ignored");
            let remarks = arguments.remarks().join("\n");
            assert!(remarks.contains("--colour") && remarks.contains("--fast"), "{remarks}");
        }
        assert!(read("--interface-version 2.0.0 --state-dir /s").expect_err("another interface").contains("version 1"));
        assert!(read("--interface-version one --state-dir /s").is_err());
    }

    #[test]
    fn what_is_not_here_is_refused_with_what_to_change() {
        for flag in ["--ii", "--nns", "--bitcoind-addr=127.0.0.1:1", "--dogecoind-addr=127.0.0.1:1"] {
            let error = read(&format!("--interface-version 1.1.0 --state-dir /s {flag}")).expect_err("refused");
            assert!(error.contains("icp.yaml"), "{error}");
        }
    }
}
