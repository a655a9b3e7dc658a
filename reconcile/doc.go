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
// secrets, the patch) is tried before the first of them. A host's marker in
// its BMC says where it stands: installed (k), being installed by a run until
// its lease ends (i), or failed after so many attempts (f); see package marker.
//
// An install that fails before its media were booted puts the machine back
// into service; one that fails later leaves machine and media as they are, for
// a person to look at.
//
// # Invariants, and the tests that hold them
//
//   - Absence is never permission: a machine in service that bears no marker
//     waits for a person; a foreign or unreadable one is never overwritten.
//     TestDiff.
//   - A machine whose serial number is not NetBox's is never written to, and
//     neither is one with any other fault that can be known before; the other
//     hosts go on. TestHostErrors.
//   - Looking changes nothing: BMCs and NetBox see GET only, and no file
//     appears. TestDryRunReadsOnly.
//   - A plan is bound to its commit and to what each machine bore.
//     TestStalePlan.
//   - Equal arguments give equal plans. TestDiffIsPure.
//   - A plan that exceeds the guard is refused as a whole. TestGuardRefusesThePlan.
//   - The limits of a rollout are exact at every moment.
//     TestLimitsNeverExceeded in package rollout.
//   - The marker is proved writable before anything is erased, and a tag that
//     a failed claim cut short is put back. TestHostErrors.
//   - Off counts only when it is read three times and the media were read as
//     an install reads them. TestPowerFlicker, TestVerdicts.
//   - A run right after a successful one writes nothing. TestInstall, for
//     every make of BMC.
//   - One run owns a host at a time, and a dead owner's claim ends by itself.
//     TestTwoRuns, TestCancel.
//   - The first interrupt starts nothing new and finishes what runs; the second
//     stops and says where each host was left. TestDrain, TestCancel.
//   - Secrets are in no plan, event, report, log or error. TestNoSecrets.
//   - On real boot loaders, a real kernel and QEMU's firmware, one run installs
//     and the next has nothing to do. TestRealInput in cmd/reconcile.
package reconcile
