// Package reconcile brings machines to the state that a fleet declares.
//
// It works in three steps that never mix. [Reconciler.Observe] reads and
// changes nothing; [Diff] decides and touches nothing; [Reconciler.Apply] acts
// and decides nothing that is not in the plan:
//
//	git ─ schema.Load → Fleet ─┐
//	NetBox ─┐                  ├─ Diff → Plan ─ Apply → Events, Report
//	Redfish ┴─ Observe → World ┘                 │
//	                                          isohttp (media)
//
// The package knows NetBox, BMCs and the media server by the small interfaces
// that it declares itself, and their data by the plain types of the packages
// that own them. Knowledge goes one way, from the command down to the schema;
// TestLayers in cmd/reconcile holds every import to it.
//
// # One install
//
// An install is a list of steps: see stages. Everything that can go wrong
// without a machine (the base image and its digest, the answer file and its
// secrets, the patch, the media's URL) is tried before the first that touches
// it. A host's marker in its BMC says where it stands: installed (k), being
// installed by a run until its lease ends (i), installed and being verified by a
// run (v), or failed after so many attempts (f); see package marker.
//
// A run that dies leaves its claim. Once the lease has ended the next run takes
// the host over: from where the installer has ended, if the claim says so, else
// with another attempt. It need not wait when the media in the machine's drive
// are to come from the very address on which it listens itself, for then nobody
// else serves them; and if the installer still runs and the media would be the
// same bytes under the same URL, it serves them on and watches to the end.
//
// An install that fails before its media were booted puts the machine back
// into service; one that fails later leaves the machine as it is for a person
// to look at, with its media in until the run ends.
//
// # Invariants, and the tests that hold them
//
//   - Absence is never permission: a machine in service that bears no marker
//     waits for a person; a foreign or unreadable one is never overwritten.
//     TestDiff.
//   - A machine whose serial number is not NetBox's is never written to, and
//     neither is one with any other fault that can be known before; the other
//     hosts go on. TestHostErrors.
//   - An attempt that did not touch the disks gives no leave to erase what runs
//     there once the declaration has changed: a person decides.
//     TestRevertedDeclaration.
//   - Looking changes nothing: BMCs and NetBox see GET only, and no file
//     appears. TestDryRunReadsOnly.
//   - A plan is bound to its commit and to what each machine bore.
//     TestStalePlan. One that rests on a snapshot of NetBox is never applied.
//     TestSnapshotPlan.
//   - A host gets an address from NetBox only as its plan said, once, whatever
//     becomes of the answer. TestTakesAddress, TestTakesAddressFaults.
//   - Equal arguments give equal plans. TestDiffIsPure.
//   - A plan that exceeds the guard is refused as a whole. TestGuardRefusesThePlan.
//   - The limits of a rollout are exact at every moment.
//     TestLimitsNeverExceeded in package rollout.
//   - The marker is proved writable, and a URL that the BMC can reach is found,
//     before anything is touched; a tag that a failed claim cut short is put
//     back. TestHostErrors, TestNoMediaAddress.
//   - Media are for the BMC that they were made for. TestMediaAreForTheirBMC.
//   - Nothing but the declared patch differs from the base image.
//     TestRandomPatches in package iso9660.
//   - A freeze that begins during a run holds the hosts whose turn comes in it.
//     TestFreezeBeginsDuringTheRun.
//   - Off counts only when it is read three times and the media were read as
//     an install reads them. TestPowerFlicker, TestVerdicts.
//   - A run right after a successful one writes nothing. TestInstall, for
//     every make of BMC.
//   - One run owns a host at a time, for as long as it lives; it stops when its
//     claim is replaced, and a dead owner's claim ends by itself. TestTwoRuns,
//     TestTwoRunsOverAFleet, TestClaimOutlivesVerification, TestLostClaim, TestCancel.
//   - A run that was killed at whatever step or write leaves a machine that the
//     next one brings to its end: no attempt installs twice, and no medium,
//     override or claim is left behind. TestCrash; on real processes,
//     TestKilledRun in cmd/reconcile.
//   - Media install once: when the installer runs, their URL serves what boots
//     the disk. TestLoopBreaker.
//   - What people say in NetBox during a run is heard before the next install.
//     TestNetBoxDuringTheRun.
//   - A hundred hosts with a failure at every step: no two of a failure domain
//     are down at once, the budget is exact, the rest is untouched.
//     TestHundredHosts. Hosts that were not chosen count. TestNeighboursCount.
//   - The first interrupt starts nothing new and finishes what runs; the second
//     stops and says where each host was left. TestDrain, TestCancel.
//   - Secrets are in no plan, event, report, log or error. TestNoSecrets.
//   - On real boot loaders, a real kernel and QEMU's firmware, one run installs
//     and the next has nothing to do. TestRealInput in cmd/reconcile.
package reconcile
