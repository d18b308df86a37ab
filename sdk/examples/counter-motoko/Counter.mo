/// The counter in Motoko: a persistent actor, whose state lives on the heap and stays there through an upgrade. Interface: `../counter.did`.

import Nat32 "mo:core/Nat32";
import Runtime "mo:core/Runtime";
import Timer "mo:core/Timer";

persistent actor Counter {
  var value : Nat = 0;
  var tickCount : Nat = 0;
  var tickSeconds : Nat32 = 0;
  transient var running : ?Timer.TimerId = null;

  func startTicking<system>() {
    switch running {
      case (?timer) { Timer.cancelTimer(timer) };
      case null {};
    };
    running := null;
    if (tickSeconds > 0) {
      running := ?Timer.recurringTimer<system>(#seconds(Nat32.toNat tickSeconds), func() : async () { tickCount += 1 });
    };
  };

  // Timers do not survive an upgrade by themselves: the actor's body runs again and starts them.
  startTicking<system>();

  public func inc() : async Nat { value += 1; value };

  public func add(amount : Nat) : async Nat { value += amount; value };

  public query func get() : async Nat { value };

  public shared query ({ caller }) func whoami() : async Principal { caller };

  public func trap_after_write() : async () {
    value += 1;
    Runtime.trap("trapped after a write");
  };

  public func burn(rounds : Nat64) : async Nat64 {
    var x : Nat64 = 0;
    var i : Nat64 = 0;
    while (i < rounds) { x := x *% 31 +% i; i += 1 };
    x;
  };

  public func tick_every(seconds : Nat32) : async () {
    tickSeconds := seconds;
    startTicking<system>();
  };

  public query func ticks() : async Nat { tickCount };
};
