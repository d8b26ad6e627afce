package manifests

import (
	"cmp"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
)

// askedClassAnnotation of a claim is the storage class that the spec asked for when the operator created it, or
// defaultClass. A claim that somebody else created does not have it.
const askedClassAnnotation = "rosey.dev/asked-storage-class"

// askedSizeAnnotation of a claim is the size that the spec asked for when the operator created it. An admission policy
// may have made another one of it.
const askedSizeAnnotation = "rosey.dev/asked-size"

// defaultClass stands for the default storage class, which the API server writes into the claim. It is no class's name.
const defaultClass = "(default)"

// ClaimSpec is what the spec asks for in a PersistentVolumeClaim.
type ClaimSpec struct {
	Name string
	// Field is the field of the spec.
	Field string
	// Title is what the claim is called in messages.
	Title        string
	Size         *resource.Quantity
	StorageClass *string
}

// Claims returns the claims that the operator creates for the pods that open an SQLite database: that of the database,
// and that of its backups if the spec asks for one. There is none for a RoseyBot with another database.
func Claims(bot *v1alpha1.RoseyBot) []ClaimSpec {
	database := databaseOf(bot)
	if database.Postgres != nil || database.SharedFrom != nil {
		return nil
	}
	sqlite := ptr.Deref(database.SQLite, v1alpha1.SQLite{})
	claims := []ClaimSpec{{
		Name: ClaimName(bot), Field: "database.sqlite", Title: "its claim",
		Size: sqlite.Size, StorageClass: sqlite.StorageClassName,
	}}
	if own := ptr.Deref(database.Backup, v1alpha1.Backup{}).Claim; own != nil {
		claims = append(claims, ClaimSpec{
			Name: backupClaimName(bot), Field: "database.backup.claim", Title: "its claim for backups",
			Size: cmp.Or(own.Size, new(resource.MustParse(defaultBackupSize))), StorageClass: own.StorageClassName,
		})
	}
	return claims
}

// defaultBackupSize is the default of database.backup.claim.size.
const defaultBackupSize = "5Gi"

func backupClaimName(bot *v1alpha1.RoseyBot) string { return bot.Name + "-backup" }

// backupsMount returns the name of the claim in which backups are, apart from that of the database, or "".
func backupsMount(bot *v1alpha1.RoseyBot) string {
	backup := ptr.Deref(databaseOf(bot).Backup, v1alpha1.Backup{})
	if backup.Claim != nil {
		return backupClaimName(bot)
	}
	return backup.ClaimName
}

// claim returns a PersistentVolumeClaim. Unless the retain policy is Delete it has no owner reference, because the
// garbage collector would delete it with the RoseyBot. What cannot change about a live claim stays as it is, because a
// RoseyBot may ask for something else than an earlier one that left the claim: its access modes, its storage class, and
// its size unless it grows.
func claim(bot *v1alpha1.RoseyBot, spec ClaimSpec, observed Observed) *corev1.PersistentVolumeClaim {
	claim := newObject[corev1.PersistentVolumeClaim](bot, spec.Name, Database)
	if ptr.Deref(databaseOf(bot).SQLite, v1alpha1.SQLite{}).RetainPolicy != v1alpha1.DeleteClaim {
		claim.OwnerReferences = nil
	}
	if spec.Size != nil {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = *spec.Size
	}
	claim.Spec.StorageClassName = spec.StorageClass
	live := Find[*corev1.PersistentVolumeClaim](observed, claim.Name)
	asked := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	claim.Annotations = map[string]string{
		askedClassAnnotation: ptr.Deref(spec.StorageClass, defaultClass), askedSizeAnnotation: asked.String(),
	}
	if live == nil {
		return claim
	}
	maps.DeleteFunc(claim.Annotations, func(key, _ string) bool { return live.Annotations[key] == "" })
	for key := range claim.Annotations {
		claim.Annotations[key] = live.Annotations[key]
	}
	claim.Spec.AccessModes = live.Spec.AccessModes
	if claim.Spec.StorageClassName != nil {
		claim.Spec.StorageClassName = live.Spec.StorageClassName
	}
	size, has := live.Spec.Resources.Requests[corev1.ResourceStorage], live.Status.Capacity[corev1.ResourceStorage]
	// A size that the volume does not have yet can be taken back, if what is asked for now is more than it has.
	if size.Cmp(asked) > 0 && (has.IsZero() || asked.Cmp(has) <= 0) {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = size
	}
	return claim
}

// FindClaim returns what the spec asks for in a claim. It returns false for one that the operator does not create.
func FindClaim(bot *v1alpha1.RoseyBot, name string) (spec ClaimSpec, found bool) {
	for _, spec := range Claims(bot) {
		if spec.Name == name {
			return spec, true
		}
	}
	return ClaimSpec{}, false
}

// ReplacesClaim reports whether a live claim has to be created again: the operator created it, it has no volume, and
// the spec asks for another size or storage class now.
func ReplacesClaim(bot *v1alpha1.RoseyBot, live *corev1.PersistentVolumeClaim) bool {
	asked, created := live.Annotations[askedClassAnnotation]
	spec, wanted := FindClaim(bot, live.Name)
	if !created || !wanted || live.Spec.VolumeName != "" || live.Status.Phase != corev1.ClaimPending ||
		live.Spec.DataSource != nil || live.Spec.DataSourceRef != nil {
		return false
	}
	fresh := claim(bot, spec, Observed{})
	size := fresh.Spec.Resources.Requests[corev1.ResourceStorage]
	has := live.Spec.Resources.Requests[corev1.ResourceStorage]
	// An admission policy may have changed what was asked for. A claim that has grown since, and is being restored, has
	// the annotation of when it was created.
	first, err := resource.ParseQuantity(live.Annotations[askedSizeAnnotation])
	isSize := has.Cmp(size) == 0 || err == nil && first.Cmp(size) == 0
	return asked != fresh.Annotations[askedClassAnnotation] || !isSize
}
