package reconcile

import (
	"sync"

	"github.com/metalcue/metalcue/reconcile/answer"
	"github.com/metalcue/metalcue/schema"
)

// kits are what the hosts of a run's images and templates have in common,
// prepared once: the hosts are many, these are few. A kit is found by the text
// of its template, not by the path alone, and is never older than the run.
type kits struct {
	mu  sync.Mutex
	all map[kitKey]*answer.Prepared
}

type kitKey struct {
	image          *schema.Image
	template, path string
}

func (k *kits) get(key kitKey, iso answer.ISO) *answer.Prepared {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.all[key]
	if p == nil {
		image := key.image
		p = answer.Prepare(answer.Request{
			Family: image.Family, Arch: image.Arch, Version: image.Version, KernelArgs: image.KernelArgs,
			Generic:  recipe(image.Generic),
			Template: key.template, TemplateName: key.path,
			ISO:  iso,
			Mark: "metalcue-" + image.SHA256[:16],
		})
		if k.all == nil {
			k.all = map[kitKey]*answer.Prepared{}
		}
		k.all[key] = p
	}
	return p
}

// kit returns what the host has in common with others. The ISO is that of the
// host's image, or none where nothing is patched.
func (r *Reconciler) kit(k *kits, h *schema.Host, iso answer.ISO) (*answer.Prepared, error) {
	text, path, err := r.template(h)
	if err != nil {
		return nil, err
	}
	return k.get(kitKey{r.Fleet.Images[h.OS], text, path}, iso), nil
}
