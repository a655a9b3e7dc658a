package answer

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// autoyastElements are what AutoYaST's guide documents below those elements
// whose children are few and matter most. YaST passes over an element that it
// does not know.
var autoyastElements = map[string]string{
	"profile": "add-on audit-laf auth-client bootloader ca_mgm cio_ignore configuration_management dhcp-server dns-server fcoe-client files " +
		"firewall firstboot ftp-server general groups host http-server iscsi-client kdump keyboard language login_settings mail networking nfs " +
		"nfs_server nis nis_server ntp-client partitioning partitioning_advanced printer proxy report runlevel samba-client scripts security " +
		"services-manager software sound squid ssh_import suse_register sysconfig tftp-server timezone upgrade user_defaults users virtualization",
	"profile/general": "ask-list cio_ignore mode proposals self_update self_update_url semi-automatic signature-handling storage wait " +
		"minimal-configuration",
	"profile/general/mode": "activate_systemd_default_target confirm confirm_base_product_license final_halt final_reboot final_restart_services " +
		"forceboot halt max_systemd_wait ntp_sync_time_before_installation rebootmsg second_stage",
	"profile/partitioning/drive": "bcache_options btrfs_options device disklabel enable_snapshots initialize is_lvm_vg keep_unknown_lv partitions " +
		"pesize quotas raid_options skip_list type use",
	"profile/partitioning/drive/partitions/partition": "bcache_backing_device_for bcache_caching_device_for btrfs_name create create_subvolumes " +
		"crypt crypt_cipher crypt_fs crypt_key crypt_label crypt_pbkdf device filesystem filesystem_id format fopt fstopt label loop_fs lv_name lvm_group mkfs_options " +
		"mount mountby partition_id partition_nr partition_type pool quotas raid_name raid_type resize size stripes stripesize subvolumes " +
		"subvolumes_prefix used_pool uuid",
	"profile/networking": "backend dhcp_options dns interfaces ipv6 keep_install_network managed modules net-udev routing s390-devices " +
		"setup_before_proposal strict_IP_check_timeout virt_bridge_proposal",
	"profile/software": "do_online_update image install_recommended instsource kernel packages patterns post-packages post-patterns products " +
		"remove-packages remove-patterns remove-products",
}

// autoyastTypes are the values of config:type.
var autoyastTypes = []string{"boolean", "integer", "list", "map", "string", "symbol", "disksize"}

// checkAutoYaST makes sure that all elements of a profile are documented ones,
// as far as they are listed above, and that types are types.
func checkAutoYaST(text string) error {
	dec := xml.NewDecoder(strings.NewReader(text))
	var at []string
	for {
		t, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			parent := strings.Join(at, "/")
			line, _ := dec.InputPos()
			if known, ok := autoyastElements[parent]; ok && !slices.Contains(strings.Fields(known), t.Name.Local) {
				return fmt.Errorf("line %d: YaST knows no %s in %s", line, t.Name.Local, parent)
			}
			for _, a := range t.Attr {
				if a.Name.Local == "type" && !slices.Contains(autoyastTypes, a.Value) {
					return fmt.Errorf("line %d: %s/%s: %q is no type of YaST", line, parent, t.Name.Local, a.Value)
				}
			}
			at = append(at, t.Name.Local)
		case xml.EndElement:
			at = at[:len(at)-1]
		}
	}
}
