/// Keeps what it is told on its heap, and says so in its log.

import Array "mo:core/Array";
import Debug "mo:core/Debug";
import Runtime "mo:core/Runtime";

persistent actor {
  var notes : [Text] = [];

  public func note(text : Text) : async Nat {
    Debug.print("noted " # text);
    notes := Array.concat(notes, [text]);
    notes.size();
  };

  public query func count() : async Nat { notes.size() };

  public query func version() : async Text { "one" };

  public func colour() : async ?Text { Runtime.envVar<system>("COLOUR") };

  public func fail() : async () { Runtime.trap("failed as asked") };
};
