package bmctest

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
)

// route is one resource and what can be done with it.
type route struct {
	get    func() object
	patch  func(object) reply
	post   func(object) reply
	hidden func() bool // it does not exist at present
	// monitor answers a GET in place of get.
	monitor func() reply
}

// route builds the table of all resources. It is called with mu held, as are
// the functions in the table.
func (b *BMC) route() {
	s := b.shape
	b.routes = map[string]*route{
		"/redfish":                  {get: func() object { return object{"v1": rootURI + "/"} }},
		rootURI:                     {get: b.rootBody},
		rootURI + "/SessionService": {get: b.sessionService},
	}
	list := func(uri, kind string, members ...string) {
		b.routes[uri] = &route{get: func() object {
			refs := []any{}
			for _, m := range members {
				if rt := b.routes[m]; rt.hidden == nil || !rt.hidden() {
					refs = append(refs, ref(m))
				}
			}
			return collection(uri, "#"+kind+"Collection."+kind+"Collection", refs)
		}}
	}
	systems := []string{s.systemURI()}
	b.routes[s.systemURI()] = &route{get: b.systemBody, patch: b.patchSystem}
	b.routes[s.systemURI()+"/Actions/ComputerSystem.Reset"] = &route{post: b.reset}
	b.routes[s.systemURI()+"/ResetActionInfo"] = &route{get: b.resetInfo, hidden: func() bool { return !s.resetInfo || s.resetInfoMissing }}
	if s.settings != "" {
		b.routes[s.settingsURI()] = &route{get: b.settingsBody, patch: b.patchSettings}
	}
	chassis := []string{}
	for i, c := range s.chassis {
		chassis = append(chassis, rootURI+"/Chassis/"+c.id)
		b.routes[chassis[i]] = &route{get: func() object { return b.chassisBody(c) }, patch: func(o object) reply { return b.patchChassis(c, o) }}
	}
	managers := []string{s.managerURI()}
	b.routes[s.managerURI()] = &route{get: b.managerBody}
	b.routes[s.managerURI()+"/Actions/Manager.Reset"] = &route{post: b.resetManager}
	b.routes[s.managerURI()+"/ResetActionInfo"] = &route{get: b.managerResetInfo, hidden: func() bool { return s.resetInfoMissing }}
	for _, uri := range slices.Sorted(maps.Keys(s.others)) {
		body := s.others[uri]
		b.routes[uri] = &route{get: func() object { return maps.Clone(body) }}
		switch path.Dir(uri) {
		case rootURI + "/Systems":
			systems = append(systems, uri)
		case rootURI + "/Chassis":
			chassis = append(chassis, uri)
		case rootURI + "/Managers":
			managers = append(managers, uri)
		}
	}
	list(rootURI+"/Systems", "ComputerSystem", systems...)
	list(rootURI+"/Chassis", "Chassis", chassis...)
	list(rootURI+"/Managers", "Manager", managers...)
	b.routeMedia(list)
	b.routeBootOptions()
	b.routeHardware(list)
}

// collection is the body of a resource collection.
func collection(uri, kind string, members []any) object {
	return object{
		"@odata.id": uri, "@odata.type": kind, "Name": path.Base(uri) + " Collection",
		"Members": members, "Members@odata.count": len(members),
	}
}

// finish removes from a body what this vendor does not have and adds what only it has.
func (b *BMC) finish(kind string, o object) object {
	for _, k := range b.shape.drop[kind] {
		delete(o, k)
	}
	if b.shape.add != nil {
		b.shape.add(b, kind, o)
	}
	return o
}

func (b *BMC) rootBody() object {
	s := b.shape
	o := object{
		"@odata.id": rootURI, "@odata.type": "#ServiceRoot." + s.rootType + ".ServiceRoot", "Id": "RootService", "Name": "Root Service",
		"RedfishVersion": s.version, "UUID": b.UUID, "Vendor": s.vendor, "Product": s.product,
		"Systems": ref(rootURI + "/Systems"), "Chassis": ref(rootURI + "/Chassis"), "Managers": ref(rootURI + "/Managers"),
		"SessionService": ref(rootURI + "/SessionService"),
		"Links":          object{"Sessions": ref(sessionsURI)},
	}
	if s.oem != "" {
		o["Oem"] = object{s.oem: object{}}
	}
	return b.finish("root", o)
}

func (b *BMC) sessionService() object {
	timeout := int(b.q.SessionTimeout.Seconds())
	if timeout == 0 {
		timeout = 1800
	}
	return object{
		"@odata.id": rootURI + "/SessionService", "@odata.type": "#SessionService.v1_1_8.SessionService", "Id": "SessionService", "Name": "Session Service",
		"ServiceEnabled": true, "SessionTimeout": timeout, "Sessions": ref(sessionsURI),
	}
}

func (b *BMC) systemBody() object {
	s := b.shape
	uri := s.systemURI()
	reset := object{"target": uri + "/Actions/ComputerSystem.Reset"}
	if s.resetInfo {
		reset["@Redfish.ActionInfo"] = uri + "/ResetActionInfo"
	}
	if s.resetInline {
		reset["ResetType@Redfish.AllowableValues"] = s.resets
	}
	links := object{"ManagedBy": []any{ref(s.managerURI())}, "Chassis": []any{ref(rootURI + "/Chassis/" + s.chassis[0].id)}}
	o := object{
		"@odata.id": uri, "@odata.type": "#ComputerSystem." + s.systemType + ".ComputerSystem", "Id": s.system, "Name": "System",
		"SystemType": "Physical", "Manufacturer": s.manufacturer, "Model": b.Model, "SerialNumber": b.Serial, "SKU": b.SKU, "UUID": b.UUID,
		"BiosVersion": s.bios, "HostName": b.HostName, "PowerState": string(b.power()), "Status": object{"State": "Enabled", "Health": "OK"},
		"Boot": b.bootBody(), "BootProgress": object{"LastState": b.progress()},
		"EthernetInterfaces": ref(uri + "/EthernetInterfaces"), "Storage": ref(uri + "/Storage"),
		"Links": links, "Actions": object{"#ComputerSystem.Reset": reset},
	}
	if s.systemTag {
		o["AssetTag"] = b.shownTag()
	}
	if s.settings != "" {
		o["@Redfish.Settings"] = object{"@odata.type": "#Settings.v1_3_5.Settings", "SettingsObject": ref(s.settingsURI())}
	}
	if s.systemMedia != "" {
		o["VirtualMedia"] = ref(s.systemMedia)
	}
	return b.finish("system", o)
}

// progress is the machine's stage in the words of BootProgress (DSP0268).
func (b *BMC) progress() string {
	switch b.machine.Stage() {
	case StagePOST:
		return "SystemHardwareInitializationComplete"
	case StageLoader, StageInstaller, StageBooting, StageStuck:
		return "OSBootStarted"
	case StageOS:
		return "OSRunning"
	}
	return "None"
}

func (b *BMC) chassisBody(c chassisShape) object {
	o := object{
		"@odata.id": rootURI + "/Chassis/" + c.id, "@odata.type": "#Chassis." + b.shape.chassisType + ".Chassis", "Id": c.id, "Name": "Computer System Chassis",
		"ChassisType": "RackMount", "Manufacturer": b.shape.manufacturer, "Model": b.Model, "SerialNumber": b.ChassisSerial, "SKU": b.SKU, "UUID": b.UUID,
		"Links": object{"ManagedBy": []any{ref(b.shape.managerURI())}},
	}
	if c.ofSystem {
		o["Links"].(object)["ComputerSystems"] = []any{ref(b.shape.systemURI())}
		o["PowerState"] = string(b.power())
	}
	switch {
	case c.tag && !b.shape.systemTag:
		o["AssetTag"] = b.shownTag()
	case c.tag:
		o["AssetTag"] = b.otherTag
	}
	if c.tag && o["AssetTag"] == "" && b.shape.chassisTagNull {
		o["AssetTag"] = nil
	}
	return b.finish("chassis", o)
}

func (b *BMC) managerBody() object {
	s := b.shape
	uri := s.managerURI()
	o := object{
		"@odata.id": uri, "@odata.type": "#Manager." + s.managerType + ".Manager", "Id": s.manager, "Name": "Manager",
		"ManagerType": "BMC", "Model": s.managerModel, "FirmwareVersion": s.firmware, "UUID": b.UUID, "PowerState": "On",
		"Links": object{
			"ManagerForServers": []any{ref(s.systemURI())},
			"ManagerForChassis": []any{ref(rootURI + "/Chassis/" + s.chassis[0].id)},
		},
		"Actions": object{"#Manager.Reset": object{"target": uri + "/Actions/Manager.Reset", "ResetType@Redfish.AllowableValues": []string{"GracefulRestart"}}},
	}
	if s.managerMedia != "" {
		o["VirtualMedia"] = ref(s.managerMedia)
	}
	return b.finish("manager", o)
}

// managerResetInfo is the ActionInfo of the BMC's own reset.
func (b *BMC) managerResetInfo() object {
	return actionInfo(b.shape.managerURI()+"/ResetActionInfo", []string{"GracefulRestart", "ForceRestart"})
}

// resetManager restarts the BMC itself, which ends sessions and may drop media.
func (b *BMC) resetManager(object) reply {
	clear(b.sessions)
	if b.q.BMCResetDropsMedia {
		for _, s := range b.slots {
			s.eject(false)
		}
		b.tellMedium()
	}
	return reply{status: http.StatusNoContent}
}

// routeHardware adds drives and network interfaces.
func (b *BMC) routeHardware(list func(uri, kind string, members ...string)) {
	base := b.shape.systemURI()
	storage := base + "/Storage/" + b.shape.storage
	var drives []any
	for i, d := range b.Drives {
		uri := storage + "/Drives/" + strconv.Itoa(i)
		drives = append(drives, ref(uri))
		b.routes[uri] = &route{get: func() object { return driveBody(uri, strconv.Itoa(i), d) }}
	}
	b.routes[storage] = &route{get: func() object {
		return object{
			"@odata.id": storage, "@odata.type": "#Storage.v1_8_0.Storage", "Id": b.shape.storage, "Name": "Storage",
			"Drives": drives, "Drives@odata.count": len(drives),
		}
	}}
	list(base+"/Storage", "Storage", storage)
	var nics []string
	for _, n := range b.NICs {
		uri := base + "/EthernetInterfaces/" + n.ID
		nics = append(nics, uri)
		b.routes[uri] = &route{get: func() object { return nicBody(uri, n) }}
	}
	list(base+"/EthernetInterfaces", "EthernetInterface", nics...)
}

func driveBody(uri, id string, d Drive) object {
	o := object{
		"@odata.id": uri, "@odata.type": "#Drive.v1_9_0.Drive", "Id": id, "Name": d.Name, "Model": d.Model, "SerialNumber": d.Serial,
		"Protocol": d.Protocol, "MediaType": d.MediaType, "CapacityBytes": d.Bytes, "Status": object{"State": "Enabled", "Health": "OK"},
	}
	if d.WWN != "" {
		o["Identifiers"] = []any{object{"DurableName": d.WWN, "DurableNameFormat": "NAA"}}
	}
	return o
}

func nicBody(uri string, n NIC) object {
	link := "LinkDown"
	if n.LinkUp {
		link = "LinkUp"
	}
	return object{
		"@odata.id": uri, "@odata.type": "#EthernetInterface.v1_4_1.EthernetInterface", "Id": n.ID, "Name": "Ethernet Interface",
		"MACAddress": n.MAC, "PermanentMACAddress": n.MAC, "LinkStatus": link, "Status": object{"State": "Enabled", "Health": "OK"},
	}
}
