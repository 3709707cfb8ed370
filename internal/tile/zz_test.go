package tile
import (_ "github.com/paulmach/orb/encoding/mvt";"testing";"os";"context";"fmt";"time";"sort";"github.com/google/uuid";"github.com/picaspot/picaspot/internal/store";"github.com/paulmach/orb/maptile";"github.com/paulmach/orb")
func TestZZ(t *testing.T){
 s,err:=store.Open(context.Background(), os.Getenv("H"), store.Options{MaxConns:4}); if err!=nil{t.Fatal(err)}
 svc:=NewService(s); ctx:=context.Background()
 rows,_:=s.Pool.Query(ctx,"select st_x(location::geometry), st_y(location::geometry) from landmarks where deleted_at is null order by md5(name) limit 40")
 var ps []orb.Point
 for rows.Next(){var a,b float64; rows.Scan(&a,&b); ps=append(ps,orb.Point{a,b})}
 for _,z:=range []int{0,1,2,4,5,7,8,10,11,13,14,15,16,18,22}{
  for _,un:=range []bool{false,true}{
  var ds []time.Duration; var bytes,maxb int
  for _,p:=range ps{ mt:=maptile.At(p,maptile.Zoom(z)); tl:=Tile{z,int(mt.X),int(mt.Y)}
   st:=time.Now(); var d []byte
   if un { _,err=svc.Unlocked(ctx,tl,uuid.MustParse("01932c06-61f0-7c64-9c30-0e7a54ad5d10")) } else {d,err=svc.Landmarks(ctx,tl)}
   if err!=nil{t.Fatal(err)}
   ds=append(ds,time.Since(st)); bytes+=len(d); maxb=max(maxb,len(d)) }
  sort.Slice(ds,func(i,j int)bool{return ds[i]<ds[j]})
  fmt.Printf("z%d unlocks=%v p50 %.2f p95 %.2f max %.2f ms bytes avg %d max %d\n",z,un,ms(ds[len(ds)/2]),ms(ds[len(ds)*95/100]),ms(ds[len(ds)-1]),bytes/len(ps),maxb)
 }}
}
func ms(d time.Duration)float64{return float64(d.Microseconds())/1000}
