//! The command line: nouns, then verbs.

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage.
Start with `mains demo`. For the `icp` tool: export ICP_CLI_NETWORK_LAUNCHER_PATH=$(which mains), then `icp network start`.";

/// Run, use and inspect Mains networks.
#[derive(Parser)]
#[command(name = "mains", version, disable_help_subcommand = true, max_term_width = 110)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub(crate) struct Shared {
    /// Which network: `local` (the test network started last) or a node's URL.
    #[arg(long, global = true, default_value = "local", env = "MAINS_NETWORK", value_name = "local|URL")]
    pub(crate) network: String,
    /// Who signs: an identity's name, or `anonymous`. Default: the one chosen with `mains identity use`.
    #[arg(long, global = true, env = "MAINS_IDENTITY", value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// What to print: text for people, json for programs, candid for the bare reply; bills and journals know more.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Print results only.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// The bare Candid reply.
    Candid,
    /// One line per figure: bills and journals.
    Csv,
    /// A page that holds everything it needs: bills.
    Html,
    /// One JSON object per line: journals.
    Jsonl,
}

/// All commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show a whole network at work: four replicas, one canister, one bill.
    Demo(DemoArguments),
    /// Run a test network on this machine.
    #[command(subcommand)]
    Testnet(TestnetCommand),
    /// Choose who signs.
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Create a canister from a Wasm module, or give an existing one a new module.
    Deploy(DeployArguments),
    /// Call a method that may change state; prints the certified reply.
    Call(CallArguments),
    /// Call a query method on one replica; prints its signed reply.
    Query(QueryArguments),
    /// Look after canisters.
    #[command(subcommand)]
    Canister(CanisterCommand),
    /// Say who published a Wasm module, and see who did.
    #[command(subcommand)]
    Module(ModuleCommand),
    /// Show what the network asks for what canisters use, and what it will ask.
    Tariff {
        /// A Wasm module: what a canister of it costs.
        #[arg(long, value_name = "MODULE")]
        estimate: Option<PathBuf>,
    },
    /// Show what a canister used, a person spent or an operator earned, and where the money went; check a bill that somebody shows.
    Bill(BillArguments),
    /// Check a proof saved by `mains call --save-proof`, offline.
    Verify(VerifyArguments),
    /// Run a node.
    #[command(subcommand)]
    Node(NodeCommand),
}

/// `mains demo`.
#[derive(Args)]
pub(crate) struct DemoArguments {
    /// Stop everything at the end instead of waiting for Ctrl-C.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Where the replicas keep their files; it must be empty. Default: a temporary directory.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// API port of the first replica; the others follow. Default: 4950.
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

/// `mains testnet …`.
#[derive(Subcommand)]
pub(crate) enum TestnetCommand {
    /// Start a test network, or continue a stopped one.
    Up {
        /// Replicas. Default: 4.
        #[arg(long)]
        nodes: Option<usize>,
        /// Where the replicas keep their files. Default: `testnet` in the directory of `mains`.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// API port of the first replica; the others follow. Default: 4950.
        #[arg(long)]
        port: Option<u16>,
        /// Return once it is up, and leave it running.
        #[arg(long)]
        detach: bool,
        /// Let canisters run only modules that their publisher signed; see `mains module sign`.
        #[arg(long)]
        require_publisher_signature: bool,
        /// A publisher whose modules may run; repeat it for more. Without any: every publisher.
        #[arg(long, value_name = "PRINCIPAL", requires = "require_publisher_signature")]
        publisher: Vec<String>,
    },
    /// Deal a test network to nodes that others run: writes an invitation for each.
    Invite {
        /// The network's name.
        network: String,
        /// A member: the public key that its `mains node init` printed, and where the others find it, if it has a
        /// fixed address, for example `9f…c3@/ip4/192.0.2.1/tcp/4951`.
        #[arg(long = "member", value_name = "KEY[@ADDRESS]", required = true)]
        members: Vec<String>,
        /// GiB that all canisters together may take, 1 to 65,536: each node needs some twice as much on its disk.
        #[arg(long, value_name = "N", default_value_t = mains_types::limits::SUBNET_STORAGE_BYTES >> 30, value_parser = clap::value_parser!(u64).range(1..=65_536))]
        storage_gib: u64,
        /// Where the invitations go. Each holds a secret: hand it to that node's operator only.
        #[arg(long, default_value = ".")]
        out: PathBuf,
    },
    /// Kill and pause replicas of a network of its own under load for a while, then check what the clients saw.
    Chaos {
        /// How long.
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Where faults and operations are drawn from. Default: the time.
        #[arg(long)]
        seed: Option<u64>,
        /// Where the replicas keep their files; it must be empty. Default: a temporary directory.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// API port of the first replica, if all are on loopback; the others follow. Default: 4950.
        #[arg(long)]
        port: Option<u16>,
        /// Leave all replicas on loopback: nothing is cut off. Else each has a network of its own, where the system allows it.
        #[arg(long)]
        no_partitions: bool,
        /// The command runs in a network of its own already.
        #[arg(long, hide = true)]
        in_own_network: bool,
    },
    /// Show every replica.
    Status(TestnetDir),
    /// Stop all replicas; `testnet up` continues.
    Stop(TestnetDir),
    /// Kill a replica at once, as a power cut would.
    Kill {
        /// Its number.
        index: usize,
        #[command(flatten)]
        dir: TestnetDir,
    },
    /// Start a replica again.
    Restart {
        /// Its number.
        index: usize,
        #[command(flatten)]
        dir: TestnetDir,
    },
}

/// Which test network.
#[derive(Args)]
pub(crate) struct TestnetDir {
    /// Its directory. Default: that of the test network started last.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

/// `mains identity …`.
#[derive(Subcommand)]
pub(crate) enum IdentityCommand {
    /// Make a new Ed25519 key.
    New {
        /// Its name.
        name: String,
    },
    /// Show all identities.
    List,
    /// Choose who signs from now on.
    Use {
        /// Its name, or `anonymous`.
        name: String,
    },
}

/// `mains deploy`.
#[derive(Args)]
pub(crate) struct DeployArguments {
    /// The Wasm module, gzipped or not.
    pub(crate) wasm: PathBuf,
    /// How the canister is called from now on. Default: the file's name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Candid argument for the canister's init, for example `(opt 5)`.
    #[arg(long, value_name = "CANDID", default_value = "()")]
    pub(crate) arg: String,
    /// What to do with a canister that exists. Default: install into a new one, upgrade an existing one.
    #[arg(long, value_enum)]
    pub(crate) mode: Option<DeployMode>,
    /// Cycles that a new canister starts with.
    #[arg(long, default_value_t = 3_000_000_000_000)]
    pub(crate) cycles: u128,
}

/// What `deploy` does with a canister that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeployMode {
    /// Into an empty canister.
    Install,
    /// Keep its state.
    Upgrade,
    /// Forget its state.
    Reinstall,
}

/// `mains call`.
#[derive(Args)]
pub(crate) struct CallArguments {
    /// The canister's name or id.
    pub(crate) name: String,
    /// The method.
    pub(crate) method: String,
    /// The argument, for example `("World", 5)`.
    #[arg(default_value = "()")]
    pub(crate) candid: String,
    /// Keep the request, the reply and their certificate in a file for `mains verify`.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_proof: Option<PathBuf>,
}

/// `mains query`.
#[derive(Args)]
pub(crate) struct QueryArguments {
    /// The canister's name or id.
    pub(crate) name: String,
    /// The method.
    pub(crate) method: String,
    /// The argument, for example `("World", 5)`.
    #[arg(default_value = "()")]
    pub(crate) candid: String,
}

/// `mains canister …`.
#[derive(Subcommand)]
pub(crate) enum CanisterCommand {
    /// Show a canister's state, settings and balance.
    Status {
        /// The canister's name or id.
        name: String,
    },
    /// Show all canisters of the subnet.
    List,
    /// Limit what calls of others than its controllers cost a canister. Replaces the limits that were set before.
    #[command(group(ArgGroup::new("limits").required(true).multiple(true)))]
    Limit {
        /// The canister's name or id.
        name: String,
        /// Cycles that all such calls together may cost it in an hour; 0: nobody else may call.
        #[arg(long, value_name = "CYCLES", group = "limits")]
        cycles_per_hour: Option<u128>,
        /// Calls that each caller may make in an hour.
        #[arg(long, value_name = "CALLS", group = "limits")]
        calls_per_caller: Option<u32>,
        /// No limits.
        #[arg(long, group = "limits", conflicts_with_all = ["cycles_per_hour", "calls_per_caller"])]
        none: bool,
    },
    /// Start a stopped canister.
    Start {
        /// The canister's name or id.
        name: String,
    },
    /// Stop a canister once its open calls have ended.
    Stop {
        /// The canister's name or id.
        name: String,
    },
}

const AFTER_MODULE_HELP: &str = "\
The signature stands in the module itself (custom section `signature`, as wasmsign2 has it), and covers all the rest of it:
sign last, before compressing. A canister shows its publisher as `mains canister status` and as metadata `mains:publisher`.";

/// `mains bill`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BillArguments {
    /// The canister's name or id, or a person's account in the cycles ledger: its principal, or as ICRC-1 writes it. A canister's
    /// account there: its id with a dot at the end.
    pub(crate) name: Option<String>,
    /// Instead of a canister: what this operator of nodes earned, settlement by settlement.
    #[arg(long, value_name = "PRINCIPAL", conflicts_with = "name")]
    pub(crate) operator: Option<String>,
    /// Where the bill begins: a height, a date or a time (UTC). It begins at the newest reading not later than that; readings are
    /// taken when an epoch ends. Default: with the account.
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub(crate) from: Option<String>,
    /// Where it ends, likewise. Default: now.
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub(crate) to: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<BillCommand>,
}

/// `mains bill …`.
#[derive(Subcommand)]
pub(crate) enum BillCommand {
    /// Recompute a bill (JSON or page) offline and check its proof; names the first line that does not hold.
    Verify(BillVerify),
}

/// `mains bill verify`.
#[derive(Args)]
pub(crate) struct BillVerify {
    /// The bill, as `mains bill -o json` or `-o html` wrote it.
    pub(crate) file: PathBuf,
    /// The root key of the network, from a source that you trust: in hex (133 bytes of DER, or the 96 of the key itself), or a
    /// file that holds it.
    #[arg(long, value_name = "HEX|FILE")]
    pub(crate) root_key: String,
    /// Refuse a certificate that is older than this.
    #[arg(long, value_name = "DATE")]
    pub(crate) not_before: Option<String>,
}

/// `mains module …`.
#[derive(Subcommand)]
#[command(after_help = AFTER_MODULE_HELP)]
pub(crate) enum ModuleCommand {
    /// Sign a module with the chosen identity; a signature that it has is replaced.
    Sign {
        /// The Wasm module, not compressed.
        file: PathBuf,
        /// Where the signed module goes. Default: in place of the file.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Check a module's signature; print its publisher and its hash. Fails if it is not signed.
    Verify {
        /// The Wasm module, gzipped or not.
        file: PathBuf,
        /// Fail also if it is another publisher.
        #[arg(long, value_name = "PRINCIPAL")]
        publisher: Option<String>,
    },
}

/// `mains verify`.
#[derive(Args)]
pub(crate) struct VerifyArguments {
    /// The proof.
    pub(crate) file: PathBuf,
    /// The root key to trust, DER in hex. Default: the one in the file, which then proves only that the file is whole.
    #[arg(long, value_name = "HEX")]
    pub(crate) root_key: Option<String>,
}

/// `mains node …`.
#[derive(Subcommand)]
pub(crate) enum NodeCommand {
    /// Make a node's keys and config; with an invitation, make it a member of a network.
    Init(NodeInit),
    /// Run the node in a directory until it is told to stop (SIGINT or SIGTERM; a second one ends it at once).
    Up(NodeUp),
    /// Show how a node is doing.
    Status {
        /// The node's directory.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Look after the node's journal: everything that moved in the ledger.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Back up a node's newest certified state, and with --keys its sealed keys, while it runs or not.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Backup {
        /// Check a backup instead.
        #[command(subcommand)]
        check: Option<BackupCommand>,
        /// The node's directory.
        #[arg(long, required = true)]
        dir: Option<PathBuf>,
        /// The file, or a directory for it.
        #[arg(long, required = true, value_name = "FILE|DIR")]
        to: Option<PathBuf>,
        /// Keep the keys in it too; they must be sealed with a passphrase.
        #[arg(long)]
        keys: bool,
    },
    /// Put a backup back as the data of a node that does not run. It votes again when it cannot contradict what it signed.
    Restore(NodeRestore),
    /// Look for what goes wrong in practice; says how to fix it. Fails if the node cannot do its work.
    Doctor {
        /// The node's directory.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Show what operators earned in past epochs, and for which work.
    Earnings {
        /// Only this node's, or this operator's.
        #[arg(value_name = "NODE|OPERATOR")]
        of: Option<candid::Principal>,
    },
}

/// `mains node journal …`.
#[derive(Subcommand)]
pub(crate) enum JournalCommand {
    /// Print what moved, oldest first, one entry a line (csv or jsonl). The node may be running.
    Export {
        /// The node's directory.
        #[arg(long)]
        dir: PathBuf,
        /// The first height or date.
        #[arg(long, value_name = "HEIGHT|DATE")]
        from: Option<String>,
        /// The last one.
        #[arg(long, value_name = "HEIGHT|DATE")]
        to: Option<String>,
    },
    /// Recompute the journal's hash chain; of a running node, compare it with what the subnet certified.
    Audit {
        /// The node's directory.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Set the journal of a stopped node aside; its next start fills a new one from the blocks it keeps.
    Rebuild {
        /// The node's directory.
        #[arg(long)]
        dir: PathBuf,
    },
}

/// `mains node backup …`.
#[derive(Subcommand)]
pub(crate) enum BackupCommand {
    /// Check a backup without network and without a node: every byte, the state, and the network's signature.
    Verify {
        /// The backup.
        file: PathBuf,
        /// The root key to trust, DER in hex. Default: the one in the file, which then proves only that the file is whole.
        #[arg(long, value_name = "HEX")]
        root_key: Option<String>,
    },
}

/// `mains node restore`.
#[derive(Args)]
pub(crate) struct NodeRestore {
    /// The backup.
    pub(crate) file: PathBuf,
    /// The node's directory, with its keys.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// The root key to trust, DER in hex. Default: that of the node's genesis file, or else the one in the backup.
    #[arg(long, value_name = "HEX")]
    pub(crate) root_key: Option<String>,
    /// Move data that are there aside.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `mains node init`.
#[derive(Args)]
pub(crate) struct NodeInit {
    /// The node's directory; what is there stays as it is.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// An invitation to a network, as its maker wrote it for this node.
    #[arg(long, value_name = "INVITATION")]
    pub(crate) join: Option<PathBuf>,
    /// Address of the API. Default: 127.0.0.1:4950.
    #[arg(long)]
    pub(crate) api: Option<String>,
    /// Address for other nodes (multiaddr); may be given more than once. Default: all interfaces, port 4951.
    #[arg(long)]
    pub(crate) listen: Vec<String>,
    /// Seal new keys with a passphrase.
    #[arg(long)]
    pub(crate) seal: bool,
    /// File that holds the passphrase. Default: MAINS_PASSPHRASE, else asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// `mains node up`.
#[derive(Args)]
pub(crate) struct NodeUp {
    /// The node's directory.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Leave the terminal's session first.
    #[arg(long, hide = true)]
    pub(crate) own_session: bool,
    /// End when the process that started this one is gone; standard input must be a pipe from it.
    #[arg(long, hide = true)]
    pub(crate) end_with_parent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn shared_options_may_follow_the_command() {
        let arguments =
            Arguments::try_parse_from(["mains", "call", "counter", "get", "-o", "json", "--network", "http://x"]);
        let arguments = arguments.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(arguments.shared.output, Output::Json);
        assert_eq!(arguments.shared.network, "http://x");
    }
}
